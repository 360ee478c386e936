/** What a backfill asks before it runs a window: is its result there, or what became of the last run? */
import type { RedisStore } from '../adapters/redis.ts';
import type { TemporalClient } from '../adapters/temporal.ts';
import type { BatchWindow } from '../domain/batch-window.ts';
import type { Keys } from '../domain/keys.ts';
import { batchWorkflowId, type WindowState } from '../workflows/batch-contract.ts';

export interface WindowDeps {
  redis: Pick<RedisStore, 'strings'>;
  keys: Keys;
  temporal: Pick<TemporalClient, 'describeWorkflow'>;
}

const unfinished = new Set(['FAILED', 'TIMED_OUT', 'TERMINATED']);

/** One state for each window. A result that is gone from Redis is missing, whatever Temporal remembers of its run; one that a later run should have replaced has failed. */
export async function inspectWindows({ redis, keys, temporal }: WindowDeps, windows: BatchWindow[]): Promise<WindowState[]> {
  const runs = await redis.strings(windows.map(({ end }) => keys.batchWindow('customers', end)));
  const summaries = await redis.strings(runs.map((run) => keys.batchSummary(run ?? '')));
  return Promise.all(
    windows.map(async ({ start, end }, at) => {
      const status = (await temporal.describeWorkflow(batchWorkflowId(end)))?.status;
      if (status === 'RUNNING') return 'running';
      const hasFailed = status !== undefined && unfinished.has(status);
      if (startOf(summaries[at] ?? null) === start) return hasFailed || status === 'CANCELLED' ? 'failed' : 'present';
      return hasFailed ? 'failed' : 'missing';
    }),
  );
}

/** An end holds one window, that of the last run: it may have begun at another time. */
const startOf = (summary: string | null): string | null => (summary === null ? null : (JSON.parse(summary) as { window: BatchWindow }).window.start);
