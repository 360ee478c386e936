/** How far a replica is behind its topics, per partition. */
import type { KafkaAdmin, PartitionBounds } from '../adapters/kafka-admin.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { positionOf } from '../domain/start-position.ts';
import type { PartitionRef } from '../domain/topics.ts';

export interface PartitionLag {
  topic: string;
  partition: number;
  /** Records not applied yet; 0 when drained. Transaction markers at the end are not counted, those between are. */
  events: number;
  /** Age of the last applied record while anything waits, so at least the age of the first that waits; 0 when drained. Milliseconds. */
  ms: number;
}

export interface LagSource {
  admin: Pick<KafkaAdmin, 'offsets'>;
  redis: RedisStore;
  keys: Keys;
  topics: string[];
}

/** `high` is the next offset to be written. */
export type PartitionEnd = PartitionRef & Pick<PartitionBounds, 'high'>;

export const readEnds = async ({ admin, topics }: Pick<LagSource, 'admin' | 'topics'>): Promise<(PartitionRef & PartitionBounds)[]> =>
  (await Promise.all(topics.map(async (topic) => (await admin.offsets(topic)).map((bounds) => ({ topic, ...bounds }))))).flat();

/** Ends that were noted, as far as the logs still go: one that was made anew may end before. */
export const lowerEnds = (noted: PartitionEnd[], now: PartitionEnd[]): PartitionEnd[] =>
  noted.map((end) => {
    const high = now.find(({ topic, partition }) => topic === end.topic && partition === end.partition)?.high ?? 0n;
    return high < end.high ? { ...end, high } : end;
  });

export const readLag = async (source: LagSource): Promise<PartitionLag[]> => lagBehind(source, await readEnds(source));

/** The fence says what is applied; `seen` beside it, how far behind it there are only transaction markers. */
export async function lagBehind({ redis, keys }: Pick<LagSource, 'redis' | 'keys'>, partitions: PartitionEnd[], nowMs = Date.now()): Promise<PartitionLag[]> {
  const fences = await redis.strings(partitions.map(({ topic, partition }) => keys.offset(topic, partition)));
  const owners = await redis.hashes(partitions.map(({ topic, partition }) => keys.owner(topic, partition)));
  return partitions.map(({ topic, partition, high }, i) => {
    const position = positionOf(BigInt(fences[i] ?? 0), owners[i]?.['seen'] ?? null);
    const events = Number(high > position ? high - position : 0n);
    const appliedMs = Number(owners[i]?.['ts_ms'] ?? nowMs);
    return { topic, partition, events, ms: events === 0 ? 0 : Math.max(0, nowMs - appliedMs) };
  });
}
