/**
 * What the consumers tell the outside through Redis: the state of each table, how far each partition is read, and that one
 * stands still for verify. A table is halted while any of its partitions is, whoever owns them.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { parseHold } from '../domain/hold.ts';
import type { Keys } from '../domain/keys.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';

export type ReplicaStatus = ReturnType<typeof createReplicaStatus>;

/** `tableOf` gives the name under which a topic is told. */
export function createReplicaStatus(redis: RedisStore, keys: Keys, tableOf: (topic: string) => string) {
  const tell = async (topic: string, why: string | undefined): Promise<void> => {
    const table = tableOf(topic);
    if (why === undefined) await redis.deleteFields(keys.status, [`${table}:why`]);
    await redis.setFields(keys.status, why === undefined ? { [table]: 'running' } : { [table]: 'halted', [`${table}:why`]: why });
  };
  return {
    /** These partitions are read; their tables run unless another partition of theirs is halted. */
    running: async (refs: PartitionRef[]): Promise<void> => {
      if (refs.length === 0) return;
      await redis.deleteFields(keys.halts, refs.map(partitionName));
      const halts = Object.entries(await redis.hash(keys.halts));
      for (const topic of new Set(refs.map((ref) => ref.topic))) {
        const [, why] = halts.find(([name]) => name.slice(0, name.lastIndexOf('-')) === topic) ?? [];
        await tell(topic, why);
      }
    },
    halted: async (ref: PartitionRef, why: string): Promise<void> => {
      await redis.setFields(keys.halts, { [partitionName(ref)]: why });
      await tell(ref.topic, why);
    },
    /** Everything before `position` was read under this fence. Safe from any process at any time: it names its fence. */
    seen: async (ref: PartitionRef, fence: bigint, position: bigint): Promise<void> => {
      await redis.setFields(keys.owner(ref.topic, ref.partition), { seen: `${fence}:${position}` });
    },
    held: async (ref: PartitionRef, token: string): Promise<void> => {
      await redis.setFields(keys.held, { [partitionName(ref)]: token });
    },
    /** Token of the hold in force, null when there is none. */
    holdToken: async (): Promise<string | null> => parseHold((await redis.strings([keys.hold]))[0] ?? null)?.token ?? null,
  };
}
