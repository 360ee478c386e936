/** What the replica has to hear of its connector: one that is registered anew remembers nothing. */
import type { ConnectClient } from '../adapters/connect.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import { createReplicaStatus } from './status.ts';

export interface ReplicatedBy {
  connect: Pick<ConnectClient, 'worker'>;
  redis: RedisStore;
  keys: Keys;
}

/** A heartbeat came through, and over the Kafka that this Connect belongs to. */
export async function hasWorked({ connect, redis, keys }: ReplicatedBy): Promise<boolean> {
  const [heartbeat, identity] = await redis.strings([keys.heartbeat, keys.identity]);
  if (!heartbeat || !identity) return false;
  return (JSON.parse(identity) as { cluster?: string }).cluster === (await connect.worker()).kafka_cluster_id;
}

/**
 * To be called before a connector that is gone is registered, by whomever: what the slot had not delivered to the one that worked is
 * skipped, deletes among it, so every table is to be read again. Told once more with the same `at` it changes nothing.
 */
export async function tellBegunAnew(by: ReplicatedBy, at: Date): Promise<void> {
  if (!(await hasWorked(by))) return;
  const status = createReplicaStatus(by.redis, by.keys);
  const why = `the connector was gone, and began anew at ${at.toISOString()}`; // of two times each is to be read after
  for (const { name } of tables) await status.set(name, 'rebuilding', 'cut', why);
}
