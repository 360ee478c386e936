/** What the consumers tell the outside through Redis: the state of each table, and that a partition stands still for verify. */
import { partitionName, type PartitionRef } from '../adapters/kafka-consumer.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { parseHold } from '../domain/hold.ts';
import type { Keys } from '../domain/keys.ts';

export type ReplicaStatus = ReturnType<typeof createReplicaStatus>;

/** `tableOf` maps a topic to its table; topics without one (heartbeats) are told under their own name. */
export function createReplicaStatus(redis: RedisStore, keys: Keys, tableOf: (topic: string) => string) {
  return {
    running: async (topic: string): Promise<void> => {
      await redis.setFields(keys.status, { [tableOf(topic)]: 'running' });
      await redis.deleteFields(keys.status, [`${tableOf(topic)}:why`]);
    },
    halted: async (topic: string, why: string): Promise<void> => {
      await redis.setFields(keys.status, { [tableOf(topic)]: 'halted', [`${tableOf(topic)}:why`]: why });
    },
    held: async (ref: PartitionRef, token: string): Promise<void> => {
      await redis.setFields(keys.held, { [partitionName(ref)]: token });
    },
    /** Token of the hold in force, null when there is none. */
    holdToken: async (): Promise<string | null> => parseHold((await redis.strings([keys.hold]))[0] ?? null)?.token ?? null,
  };
}
