/** Composition root of the command line. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not reachable or unhealthy. */
import { Command, CommanderError } from 'commander';
import { registerAlerts } from '../cli/alerts.ts';
import { registerBackfill } from '../cli/backfill.ts';
import { registerBatch } from '../cli/batch.ts';
import { registerDlq } from '../cli/dlq.ts';
import { registerConnector } from '../cli/connector.ts';
import { registerDetector } from '../cli/detector.ts';
import { registerDown } from '../cli/down.ts';
import { registerGenerate } from '../cli/generate.ts';
import { registerRebuild } from '../cli/rebuild.ts';
import { registerReset } from '../cli/reset.ts';
import { registerResync } from '../cli/resync.ts';
import { registerStatus } from '../cli/status.ts';
import { registerUp } from '../cli/up.ts';
import { registerVerify } from '../cli/verify.ts';
import { ConfigError } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';

const program = new Command('sluice')
  .description('A live, exact picture of a PostgreSQL shop in Redis')
  .exitOverride()
  .showHelpAfterError();
for (const register of [registerUp, registerDown, registerStatus, registerReset, registerVerify, registerDlq, registerRebuild, registerResync, registerConnector, registerBatch, registerBackfill, registerAlerts, registerGenerate, registerDetector]) register(program);

process.stdout.on('error', () => undefined); // `sluice … | head`: a closed pipe must not end a supervisor before it has stopped its servers

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (error instanceof PipelineError) {
    process.stderr.write(`${error.message}\n`);
    return error.action === 'retry' ? 3 : 1;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
