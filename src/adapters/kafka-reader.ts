/**
 * Reads a topic once, from a place to where it ended when the reading began, without a lasting group.
 * Invariant: it ends, fails, or is aborted; it never waits for records that are still to come.
 */
import { randomUUID } from 'node:crypto';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';
import { createClient, headerTexts, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface TopicRecord {
  partition: number;
  offset: bigint;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
}

export interface TopicReading {
  topic: string;
  /** First offset to read of each partition; one that is not named is read from its beginning. */
  from?: ReadonlyMap<number, bigint>;
  /** Records of one partition in offset order, one call at a time; the next are fetched when it resolves. */
  each: (records: TopicRecord[]) => Promise<void>;
  signal?: AbortSignal;
}

const silentMs = 30_000;

/** Resolves with the end of each partition as it was at the start: where a later reading goes on. */
export async function readTopic(options: KafkaOptions, reading: TopicReading): Promise<Map<number, bigint>> {
  const { topic, from } = reading;
  const client = createClient(options);
  const admin = client.admin();
  const groupId = `sluice-reader-${randomUUID()}`;
  try {
    await admin.connect();
    const bounds = await admin.fetchTopicOffsets(topic);
    const ends = new Map(bounds.map(({ partition, high }) => [partition, BigInt(high)]));
    const parts = bounds.map(({ partition, low }) => ({ partition, from: larger(BigInt(low), from?.get(partition) ?? 0n), upto: ends.get(partition)! }));
    const open = new Map(parts.filter((part) => part.from < part.upto).map((part) => [part.partition, part]));
    if (open.size === 0) return ends;
    await consumeParts(client.consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 250, retry: { retries: 5, restartOnFailure: async () => false } }), open, reading);
    await admin.deleteGroups([groupId]);
    return ends;
  } catch (error) {
    throw translateKafkaError(error);
  } finally {
    await admin.disconnect();
  }
}

/** Reads each part to its end (`upto` exclusive) and takes it out of `open`. */
async function consumeParts(consumer: Consumer, open: Map<number, { from: bigint; upto: bigint }>, { topic, each, signal }: TopicReading): Promise<void> {
  let end: (failure?: Error) => void = () => undefined;
  const ended = new Promise<void>((resolve, reject) => (end = (failure) => (failure ? reject(failure) : resolve())));
  ended.catch(() => undefined); // it may fail while the client still connects
  const fail = (why: string): void => end(new PipelineError('kafka_unavailable', why));
  const silence = setTimeout(() => fail(`Kafka sent nothing of ${topic} for ${silentMs / 1000} s`), silentMs);
  const abort = (): void => fail(`the reading of ${topic} was stopped`);
  signal?.addEventListener('abort', abort, { once: true });
  consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const [partition, { from }] of open) consumer.seek({ topic, partition, offset: String(from) });
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        silence.refresh();
        const part = open.get(batch.partition);
        if (!part) return;
        try {
          await each(toRecords(batch).filter(({ offset }) => offset >= part.from && offset < part.upto));
        } catch (error) {
          open.clear(); // thrown from here, the driver would deliver the batch again
          end(translateKafkaError(error));
          return;
        }
        part.from = BigInt(batch.lastOffset()) + 1n;
        if (part.from >= part.upto) open.delete(batch.partition);
        if (open.size === 0) end();
      },
    });
    await ended;
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener('abort', abort);
    await consumer.disconnect();
  }
}

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const toRecords = ({ partition, messages }: EachBatchPayload['batch']): TopicRecord[] =>
  messages.map(({ offset, key, value, headers }) => ({ partition, offset: BigInt(offset), key, value, headers: headerTexts(headers) }));
