/**
 * What the outside is told through Redis: the state of each table, how far each partition is read, and that one stands still
 * for verify. A table's state is the gravest of its conditions, whoever set them; a script rolls them up, so tellers cannot race.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { parseHold } from '../domain/hold.ts';
import type { Keys } from '../domain/keys.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';

export type ReplicaStatus = ReturnType<typeof createReplicaStatus>;

/** In falling gravity. `halted` waits for a human; the others end by themselves, or once a column is restored. */
export type ConditionState = 'halted' | 'rebuilding' | 'sweeping' | 'drift';

/** What keeps a table from just running. `scope` tells several of one state apart: a partition, `slot`, `cut`. */
export interface Condition {
  table: string;
  state: ConditionState;
  scope: string;
  why: string;
}

/** `reader`: who tells, when it is not the replica's consumer; what it says is told apart from what that one says. A re-reading is for all of them. */
export function createReplicaStatus(redis: RedisStore, keys: Keys, reader?: string) {
  const tell = (table: string, condition: string, why: string, only?: string): Promise<unknown> => redis.tellStatus([keys.conditions, keys.status], [table, condition, why, ...(only === undefined ? [] : [only])]);
  const nameOf = (table: string, state: ConditionState, scope: string): string => `${table} ${state} ${reader && state !== 'rebuilding' ? `${reader} ` : ''}${scope}`;
  return {
    /** The table is looked after: its state is told even when nothing is the matter. */
    present: (table: string): Promise<unknown> => tell(table, '', ''),
    set: (table: string, state: ConditionState, scope: string, why: string): Promise<unknown> => tell(table, nameOf(table, state, scope), reader ? `${reader}: ${why}` : why),
    /** `only`: unless it has got another reason since. */
    clear: (table: string, state: ConditionState, scope: string, only?: string): Promise<unknown> => tell(table, nameOf(table, state, scope), '', only),
    /** Takes back what was told of partitions of `topic` from `count` on: there are none, so nobody claims them. */
    forgetBeyond: async (table: string, topic: string, count: number): Promise<void> => {
      for (const field of Object.keys(await redis.hash(keys.conditions))) {
        const isBeyond = (['halted', 'sweeping'] as const).some((state) => {
          const start = nameOf(table, state, `${topic}-`);
          return field.startsWith(start) && Number(field.slice(start.length)) >= count;
        });
        if (isBeyond) await tell(table, field, '');
      }
    },
    conditions: async (): Promise<Condition[]> =>
      Object.entries(await redis.hash(keys.conditions)).map(([field, why]) => {
        const [table = '', state = '', ...scope] = field.split(' ');
        return { table, state: state as ConditionState, scope: scope.join(' '), why };
      }),
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
