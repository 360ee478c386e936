/** What a backfill asks before it runs a window: is its result there, or what became of the last run? */
import type { RedisStore } from '../adapters/redis.ts';
import type { TemporalClient } from '../adapters/temporal.ts';
import type { Keys } from '../domain/keys.ts';
import { batchWorkflowId, type WindowState } from '../workflows/batch-contract.ts';

export interface WindowDeps {
  redis: Pick<RedisStore, 'strings'>;
  keys: Keys;
  temporal: Pick<TemporalClient, 'describeWorkflow'>;
}

const unfinished = new Set(['FAILED', 'TIMED_OUT', 'TERMINATED']);

/** One state for each window end. A result that is gone from Redis is missing, whatever Temporal remembers of its run. */
export async function inspectWindows({ redis, keys, temporal }: WindowDeps, ends: string[]): Promise<WindowState[]> {
  const runs = await redis.strings(ends.map((end) => keys.batchWindow('customers', end)));
  return Promise.all(
    ends.map(async (end, at) => {
      const status = (await temporal.describeWorkflow(batchWorkflowId(end)))?.status;
      if (status === 'RUNNING') return 'running';
      if (runs[at] !== null) return 'present';
      return status !== undefined && unfinished.has(status) ? 'failed' : 'missing';
    }),
  );
}
