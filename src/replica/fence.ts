/** What is stored of partitions' fences, against the logs as they are. */
import { decideStart, type StoredFence } from '../domain/start-position.ts';
import type { PartitionRef } from '../domain/topics.ts';
import { readEnds, type LagSource } from './lag.ts';

export async function readFence({ redis, keys }: Pick<LagSource, 'redis' | 'keys'>, { topic, partition }: PartitionRef): Promise<StoredFence> {
  const [[offset = null], owner] = await Promise.all([redis.strings([keys.offset(topic, partition)]), redis.hash(keys.owner(topic, partition))]);
  return { offset: offset === null ? null : BigInt(offset), fingerprint: owner['last'] || null, seen: owner['seen'] ?? null };
}

/** Why a log does not go on from its fence, one text for each where it does not: its next claim starts it over. */
export async function findGaps(source: LagSource): Promise<string[]> {
  const refs = await readEnds(source);
  const fences = await Promise.all(refs.map((ref) => readFence(source, ref)));
  const logs = await readEnds(source); // after the fences, which go on meanwhile
  return refs.flatMap((ref, i) => {
    const log = logs.find(({ topic, partition }) => topic === ref.topic && partition === ref.partition);
    const start = log && decideStart(fences[i]!, log);
    return start && 'gap' in start ? [`partition ${ref.partition}: ${start.gap}`] : [];
  });
}
