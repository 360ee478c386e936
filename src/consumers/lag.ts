/** How far a group is behind, per partition. */
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';

export interface PartitionLag {
  topic: string;
  partition: number;
  /** Records not applied yet; 0 when drained. Transaction markers at the end are not counted, those between are. */
  events: number;
  /** Age of the last applied change while anything waits, milliseconds; 0 when drained. */
  ms: number;
}

export interface LagSource {
  admin: KafkaAdmin;
  redis: RedisStore;
  keys: Keys;
  group: string;
  topics: string[];
}

/** The fence says what is applied; the group's committed offset, a hint, says how far past it there are only markers. */
export async function readLag({ admin, redis, keys, group, topics }: LagSource, nowMs = Date.now()): Promise<PartitionLag[]> {
  const committed = new Map((await admin.committed(group, topics)).map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]));
  const ends = await Promise.all(topics.map(async (topic) => (await admin.offsets(topic)).map((bounds) => ({ topic, ...bounds }))));
  const partitions = ends.flat();
  const fences = await redis.strings(partitions.map(({ topic, partition }) => keys.offset(topic, partition)));
  const owners = await redis.hashes(partitions.map(({ topic, partition }) => keys.owner(topic, partition)));
  return partitions.map(({ topic, partition, high }, i) => {
    const fence = BigInt(fences[i] ?? 0);
    const hint = committed.get(`${topic}-${partition}`) ?? 0n;
    const position = fence > 0n && hint > fence ? hint : fence;
    const events = Number(high > position ? high - position : 0n);
    const appliedMs = Number(owners[i]?.['ts_ms'] ?? nowMs);
    return { topic, partition, events, ms: events === 0 ? 0 : Math.max(0, nowMs - appliedMs) };
  });
}
