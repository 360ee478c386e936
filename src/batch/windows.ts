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

/** One state for each window. A result that is gone from Redis is missing, whatever Temporal remembers of its run. */
export async function inspectWindows(deps: WindowDeps, windows: BatchWindow[]): Promise<WindowState[]> {
  return Promise.all(
    windows.map(async (window) => {
      const status = (await deps.temporal.describeWorkflow(batchWorkflowId(window.end)))?.status;
      if (status === 'RUNNING') return 'running';
      if (await isPresent(deps, window)) return 'present';
      return status !== undefined && unfinished.has(status) ? 'failed' : 'missing';
    }),
  );
}

/** An end holds one window, that of the last run: it may have begun at another time. */
async function isPresent({ redis, keys }: WindowDeps, { start, end }: BatchWindow): Promise<boolean> {
  const [runId] = await redis.strings([keys.batchWindow('customers', end)]);
  const [summary] = runId ? await redis.strings([keys.batchSummary(runId)]) : [];
  return summary ? (JSON.parse(summary) as { window: BatchWindow }).window.start === start : false;
}
