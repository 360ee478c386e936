/** Entry point of the mock data generator: settings → database → runner, until told to stop. */
import { access } from '../access.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { runGenerator } from '../generator/runner.ts';
import { runProcess } from './process.ts';

await runProcess('generator', async ({ settings, log, signal, ready }) => {
  const db = connectPostgres({ ...access.writer(settings), name: 'sluice-generator', max: 1, statementTimeoutMs: 30_000 });
  ready();
  try {
    await runGenerator({
      db,
      log,
      signal,
      seed: settings.MOCK_DATA_SEED,
      recordsPerBatch: settings.MOCK_DATA_RECORDS_PER_BATCH,
      intervalMs: settings.MOCK_DATA_INTERVAL_SECONDS * 1000,
      now: () => new Date(),
    });
  } finally {
    await db.close();
  }
});
