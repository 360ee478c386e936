/** What the keys of the live screen do to the shop. One thing at a time; each says what came of it. */
import { access } from '../../access.ts';
import { connectPostgres } from '../../adapters/postgres.ts';
import { ruleLimits } from '../../domain/rules/limits.ts';
import type { PlannedAnomaly } from '../../generator/anomaly.ts';
import { writeAnomaly, writeOrders, type WriteOptions } from '../../generator/write-orders.ts';
import type { RunningStack } from '../../stack/run-stack.ts';

const burstOrders = 500;

export interface ShopActions {
  pauseOrResume: () => void;
  burst: () => void;
  anomaly: (kind: PlannedAnomaly) => void;
}

export function createShopActions({ settings, supervisor, signal, say }: RunningStack): ShopActions {
  let inWork: string | null = null;

  const run = (what: string, work: () => Promise<string>): void => {
    if (inWork) return say(`${inWork} is not finished yet`);
    inWork = what;
    void work()
      .then(say)
      .catch((error: unknown) => signal.aborted || say(`${what} failed: ${error instanceof Error ? error.message : String(error)}`))
      .finally(() => (inWork = null));
  };

  const write = async (work: (options: WriteOptions) => Promise<string>): Promise<string> => {
    const db = connectPostgres({ ...access.writer(settings), name: 'sluice-screen', max: 1, statementTimeoutMs: 60_000 });
    try {
      return await work({ db, seed: settings.MOCK_DATA_SEED, signal, now: () => new Date() });
    } finally {
      await db.close();
    }
  };

  return {
    pauseOrResume: () => {
      if (settings.SLUICE_GENERATOR === 'off') return say('The generator is off: start without SLUICE_GENERATOR=off');
      const isPaused = supervisor.isPaused('generator');
      run(isPaused ? 'Resuming the generator' : 'Pausing the generator', async () => {
        await (isPaused ? supervisor.resume('generator') : supervisor.pause('generator'));
        return isPaused ? 'The generator goes on.' : 'The generator is paused: p resumes it.';
      });
    },
    burst: () =>
      run('The burst', () =>
        write(async (options) => {
          const startMs = performance.now();
          const { orders, rows } = await writeOrders(options, { count: burstOrders, rate: undefined, onProgress: () => undefined });
          return `Burst: ${orders} orders, ${rows} rows in ${((performance.now() - startMs) / 1000).toFixed(1)} s.`;
        }),
      ),
    anomaly: (kind) =>
      run(`The anomaly ${kind}`, () =>
        write(async (options) => {
          const { entity } = await writeAnomaly(options, kind, ruleLimits(settings));
          return `Anomaly ${kind}: an alert about ${entity} follows.`;
        }),
      ),
  };
}
