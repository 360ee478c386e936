/** The stream's engine over a real Redis, under the prefix `{test}:`, as the stream consumer composes it. */
import { CdcProcessor } from '../src/consumers/cdc/processor.ts';
import { createStreamWindows } from '../src/consumers/stream/windows.ts';
import { createKeys, streamKeys } from '../src/domain/keys.ts';
import { streamTables } from '../src/domain/stream/tables.ts';
import { createReplicaStatus } from '../src/replica/status.ts';
import type { TestRedis } from './redis.ts';
import { limits } from './rule-limits.ts';

export const keys = streamKeys(createKeys('{test}:'));

export const createStreamEngine = ({ store: redis }: TestRedis, latenessMs: number, now: () => number): CdcProcessor =>
  new CdcProcessor({
    redis,
    keys,
    status: createReplicaStatus(redis, keys),
    tables: streamTables,
    topicPrefix: 'shop',
    changesMax: 0,
    deadLetters: async () => undefined,
    failpoint: () => undefined,
    windows: createStreamWindows({ redis, keys, latenessMs, limits, now }),
  });

/** Nothing is stored, and claims of the spec `rules` are good. */
export async function emptyEngine({ admin }: TestRedis): Promise<void> {
  for await (const page of admin.scan('*')) await admin.delete(page);
  await admin.setFields(keys.pipeline, { spec: 'rules' });
}
