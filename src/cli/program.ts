/** The command line of `sluice`, one verb per file. Clients of servers take long to load: only those of the verb that is run are. */
import { Command } from 'commander';

type Register = (program: Command) => void;

/** In the order of the help. */
const verbs: Record<string, () => Promise<Register>> = {
  up: async () => (await import('./up.ts')).registerUp,
  down: async () => (await import('./down.ts')).registerDown,
  setup: async () => (await import('./setup.ts')).registerSetup,
  status: async () => (await import('./status.ts')).registerStatus,
  doctor: async () => (await import('./doctor.ts')).registerDoctor,
  reset: async () => (await import('./reset.ts')).registerReset,
  verify: async () => (await import('./verify.ts')).registerVerify,
  dlq: async () => (await import('./dlq.ts')).registerDlq,
  rebuild: async () => (await import('./rebuild.ts')).registerRebuild,
  resync: async () => (await import('./resync.ts')).registerResync,
  connector: async () => (await import('./connector.ts')).registerConnector,
  batch: async () => (await import('./batch.ts')).registerBatch,
  backfill: async () => (await import('./backfill.ts')).registerBackfill,
  alerts: async () => (await import('./alerts.ts')).registerAlerts,
  generate: async () => (await import('./generate.ts')).registerGenerate,
  detector: async () => (await import('./detector.ts')).registerDetector,
  bench: async () => (await import('./bench.ts')).registerBench,
};

/** Knows the verb that `words` begin with, or all of them when it begins with none (help, a typing error). */
export async function createProgram([word = '']: readonly string[] = []): Promise<Command> {
  const program = new Command('sluice')
    .description('A live, exact picture of a PostgreSQL shop in Redis')
    .exitOverride()
    .showHelpAfterError();
  const verb = Object.hasOwn(verbs, word) ? verbs[word] : undefined;
  for (const load of verb ? [verb] : Object.values(verbs)) (await load())(program);
  return program;
}
