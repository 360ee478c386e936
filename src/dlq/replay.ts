/**
 * Writes letters back to where they came from, and waits until the consumer has judged them.
 * Invariant: a resolution is written only after its replay is stored. Whoever is stopped in between leaves the letter open, and
 * repeats: the engine applies a record once, however often it is replayed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaProducer, OutgoingRecord } from '../adapters/kafka-producer.ts';
import type { TopicRecord } from '../adapters/kafka-reader.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { formatDeadLetter } from '../domain/dead-letter.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { formatReplay } from '../domain/replay.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';
import type { Failpoint } from '../telemetry/failpoint.ts';
import type { DeadLetter } from './ledger.ts';
import { readRecords, type LetterTopic } from './read-letters.ts';

/** Who closes letters, and why. */
export interface Author {
  by: string;
  note: string;
}

export interface ReplayDeps extends LetterTopic {
  producer: KafkaProducer;
  redis: RedisStore;
  keys: Keys;
  failpoint: Failpoint;
}

/** A replay that is stored. */
export interface Replayed extends PartitionRef {
  offset: bigint;
}

const chunkRecords = 500;
const chunkBytes = 4 * 1024 * 1024;
const pollMs = 100;

/** Stores a replay and a resolution for each letter; resolves with the last replay of each partition. */
export async function replayLetters(deps: ReplayDeps, letters: DeadLetter[], author: Author, onProgress: (done: number) => void): Promise<Replayed[]> {
  const last = new Map<string, Replayed>();
  let done = 0;
  await readRecords(deps, letters, async (found) => {
    for (const chunk of chunksOf(found)) {
      for (const replayed of await replayChunk(deps, chunk, author)) last.set(partitionName(replayed), replayed);
      done += chunk.length;
      onProgress(done);
    }
  });
  if (done < letters.length) throw new PipelineError('kafka_refused', `${letters.length - done} letters are no longer in ${deps.topic}: its retention must be unlimited (retention.ms=-1)`);
  return [...last.values()];
}

interface Found {
  letter: DeadLetter;
  record: TopicRecord;
}

function* chunksOf(found: Found[]): Generator<Found[]> {
  let chunk: Found[] = [];
  let bytes = 0;
  for (const one of found) {
    const size = (one.record.key?.length ?? 0) + (one.record.value?.length ?? 0);
    if (chunk.length > 0 && (chunk.length >= chunkRecords || bytes + size > chunkBytes)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(one);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

async function replayChunk({ producer, topic, failpoint }: ReplayDeps, chunk: Found[], { by, note }: Author): Promise<Replayed[]> {
  const replayed: Replayed[] = [];
  const resolutions: OutgoingRecord[] = [];
  const at = new Date().toISOString();
  for (const part of byPartition(chunk)) {
    const { topic: originTopic, partition } = part[0]!.letter.origin;
    const stored = await producer.send(
      originTopic,
      part.map(({ letter, record: { key, value } }) => ({ partition, key, value, headers: formatReplay({ of: letter.origin.offset, generation: letter.origin.generation }) })),
    );
    const first = stored.get(partition);
    if (first === undefined) throw new PipelineError('kafka_refused', `${originTopic} has no partition ${partition} any more, where ${part.length} of the chosen letters come from: discard them (sluice dlq discard), then replay the rest`);
    for (const [i, { letter, record }] of part.entries()) {
      const resolution = { kind: 'resolution', origin: letter.origin, how: 'replayed', by, at, note, replayOffset: first + BigInt(i) } as const;
      resolutions.push({ key: record.key, value: null, headers: formatDeadLetter(resolution) });
    }
    replayed.push({ topic: originTopic, partition, offset: first + BigInt(part.length - 1) });
  }
  failpoint('dlq.replayed');
  await producer.send(topic, resolutions);
  return replayed;
}

/** In partitions by name, each in offset order. */
function byPartition(chunk: Found[]): Found[][] {
  const parts = new Map<string, Found[]>();
  for (const one of chunk) {
    const name = partitionName(one.letter.origin);
    parts.set(name, [...(parts.get(name) ?? []), one]);
  }
  return [...parts.values()].map((part) => part.sort((a, b) => Number(a.letter.origin.offset - b.letter.origin.offset)));
}

/** Resolves when the fences are past the replays. Throws PipelineError `consumer_behind` when none that is still before its replay moves for `patienceMs`. */
export async function awaitJudged({ redis, keys }: Pick<ReplayDeps, 'redis' | 'keys'>, replayed: Replayed[], patienceMs: number, onProgress: (partitionsLeft: number) => void): Promise<void> {
  let seen = '';
  let movedMs = performance.now();
  for (;;) {
    const fences = await redis.strings(replayed.map(({ topic, partition }) => keys.offset(topic, partition)));
    const waiting = replayed.filter(({ offset }, i) => BigInt(fences[i] ?? 0) <= offset);
    if (waiting.length === 0) return;
    onProgress(waiting.length);
    const before = fences.filter((fence, i) => BigInt(fence ?? 0) <= replayed[i]!.offset).join();
    if (before !== seen) movedMs = performance.now();
    seen = before;
    if (performance.now() - movedMs > patienceMs) {
      throw new PipelineError(
        'consumer_behind',
        `The replays are stored, but the consumer has not come to them in ${patienceMs / 1000} s (${waiting.map(partitionName).join(', ')}). ` +
          'It applies them when it runs: see sluice status, and sluice dlq ls for what comes back.',
      );
    }
    await delay(pollMs);
  }
}
