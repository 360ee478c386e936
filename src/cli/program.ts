/** The command line of `sluice`, one verb per file. */
import { Command } from 'commander';
import { registerAlerts } from './alerts.ts';
import { registerBackfill } from './backfill.ts';
import { registerBatch } from './batch.ts';
import { registerDlq } from './dlq.ts';
import { registerConnector } from './connector.ts';
import { registerDetector } from './detector.ts';
import { registerDoctor } from './doctor.ts';
import { registerDown } from './down.ts';
import { registerGenerate } from './generate.ts';
import { registerRebuild } from './rebuild.ts';
import { registerReset } from './reset.ts';
import { registerResync } from './resync.ts';
import { registerSetup } from './setup.ts';
import { registerStatus } from './status.ts';
import { registerUp } from './up.ts';
import { registerVerify } from './verify.ts';

export function createProgram(): Command {
  const program = new Command('sluice')
    .description('A live, exact picture of a PostgreSQL shop in Redis')
    .exitOverride()
    .showHelpAfterError();
  const verbs = [registerUp, registerDown, registerSetup, registerStatus, registerDoctor, registerReset, registerVerify, registerDlq, registerRebuild, registerResync, registerConnector, registerBatch, registerBackfill, registerAlerts, registerGenerate, registerDetector];
  for (const register of verbs) register(program);
  return program;
}
