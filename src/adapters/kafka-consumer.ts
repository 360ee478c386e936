/**
 * One session of a Kafka consumer group, read committed, by partition batches.
 * Invariant: a partition delivers nothing before `claim` has said where it starts, and positions move only when a batch was done.
 * Kafka's own committed offset is written as a hint for lag tools; nothing here ever starts from it.
 */
import type { Batch, EachBatchPayload } from 'kafkajs';
import type { SourceRecord } from '../domain/change-event.ts';
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface PartitionRef {
  topic: string;
  partition: number;
}

export interface RecordBatch extends PartitionRef {
  /** Never empty, in offset order; control records and aborted transactions are gone. */
  records: SourceRecord[];
}

export interface ConsumerOptions extends KafkaOptions {
  group: string;
  topics: string[];
  sessionTimeoutMs: number;
  /** Batches of different partitions in work at once. */
  concurrency: number;
}

export interface ConsumerHandlers {
  /** Called at every assignment: where each partition starts; null leaves it paused. */
  claim: (partitions: PartitionRef[]) => Promise<(PartitionRef & { offset: bigint | null })[]>;
  /** True when the whole batch is applied; false leaves the position where it was: the callee has paused or restarted the partition. */
  process: (batch: RecordBatch) => Promise<boolean>;
  /** The session is over; a new one must be made. */
  crashed: (error: Error) => void;
}

export interface KafkaConsumer {
  start: () => Promise<void>;
  stop: () => Promise<void>;
  pause: (partitions: PartitionRef[]) => void;
  /** Goes on at `offset`, paused before or not. */
  resumeAt: (partition: PartitionRef, offset: bigint) => void;
  assigned: () => PartitionRef[];
  /** Next offset of each partition that is being read (control records included), by `<topic>-<partition>`. */
  positions: () => ReadonlyMap<string, bigint>;
}

export const partitionName = ({ topic, partition }: PartitionRef): string => `${topic}-${partition}`;

const hintIntervalMs = 1000;
const keepAliveMs = 1000;

export function createKafkaConsumer(options: ConsumerOptions, handlers: ConsumerHandlers): KafkaConsumer {
  const consumer = createClient(options).consumer({
    groupId: options.group,
    sessionTimeout: options.sessionTimeoutMs,
    rebalanceTimeout: options.sessionTimeoutMs,
    heartbeatInterval: Math.floor(options.sessionTimeoutMs / 4),
    maxWaitTimeInMs: 250,
    maxBytesPerPartition: 2 * 1024 * 1024,
    maxBytes: 16 * 1024 * 1024,
    allowAutoTopicCreation: false,
    readUncommitted: false,
    retry: { initialRetryTime: 200, maxRetryTime: 2000, retries: 5, restartOnFailure: async () => false },
  });
  const { GROUP_JOIN, CRASH, END_BATCH_PROCESS } = consumer.events;
  const positions = new Map<string, bigint>();
  const hinted = new Map<string, bigint>();
  let assigned: PartitionRef[] = [];
  let hints: NodeJS.Timeout | undefined;

  const pause = (partitions: PartitionRef[]): void => {
    for (const ref of partitions) positions.delete(partitionName(ref));
    consumer.pause(partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] })));
  };
  const resumeAt = (ref: PartitionRef, offset: bigint): void => {
    positions.set(partitionName(ref), offset);
    consumer.seek({ ...ref, offset: String(offset) });
    consumer.resume([{ topic: ref.topic, partitions: [ref.partition] }]);
  };
  const restart = async (partitions: PartitionRef[]): Promise<void> => {
    pause(partitions);
    const starts = await handlers.claim(partitions);
    if (!partitions.every((ref) => assigned.includes(ref))) return; // assigned anew meanwhile
    for (const { offset, ...ref } of starts) if (offset !== null) resumeAt(ref, offset);
  };

  consumer.on(GROUP_JOIN, ({ payload }) => {
    assigned = Object.entries(payload.memberAssignment).flatMap(([topic, list]) => list.map((partition) => ({ topic, partition })));
    positions.clear();
    restart(assigned).catch(handlers.crashed);
  });
  consumer.on(CRASH, ({ payload }) => handlers.crashed(translateKafkaError(payload.error)));
  consumer.on(END_BATCH_PROCESS, ({ payload }) => {
    const name = partitionName(payload);
    if (payload.batchSize === 0 && positions.has(name)) positions.set(name, BigInt(payload.lastOffset) + 1n); // only control records
  });

  const eachBatch = async ({ batch, heartbeat, resolveOffset, isStale }: EachBatchPayload): Promise<void> => {
    const name = partitionName(batch);
    if (isStale() || !positions.has(name)) return;
    if (fetchedFrom(batch) !== positions.get(name)) {
      // kafkajs resets an out-of-range position on its own: start again from the fence, where a cut is seen
      await restart(assigned.filter((ref) => partitionName(ref) === name));
      return;
    }
    const done = await keepAlive(heartbeat, () => handlers.process({ topic: batch.topic, partition: batch.partition, records: batch.messages.map(toRecord) }));
    if (!done || isStale()) return;
    positions.set(name, BigInt(batch.lastOffset()) + 1n);
    resolveOffset(batch.messages.at(-1)!.offset);
  };

  const writeHints = async (): Promise<void> => {
    const moved = assigned.filter((ref) => positions.has(partitionName(ref)) && positions.get(partitionName(ref)) !== hinted.get(partitionName(ref)));
    const offsets = moved.map((ref) => ({ ...ref, offset: String(positions.get(partitionName(ref))) }));
    if (offsets.length === 0) return;
    await consumer.commitOffsets(offsets);
    for (const { offset, ...ref } of offsets) hinted.set(partitionName(ref), BigInt(offset));
  };

  return {
    start: async () => {
      try {
        await consumer.connect();
        await consumer.subscribe({ topics: options.topics, fromBeginning: true });
        await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: options.concurrency, eachBatch });
      } catch (error) {
        throw translateKafkaError(error);
      }
      let writing = false;
      hints = setInterval(() => {
        if (writing) return;
        writing = true;
        writeHints()
          .catch(() => hinted.clear()) // only a hint: written again at the next tick
          .finally(() => (writing = false));
      }, hintIntervalMs);
    },
    stop: async () => {
      clearInterval(hints);
      await consumer.disconnect();
    },
    pause,
    resumeAt,
    assigned: () => assigned,
    positions: () => positions,
  };
}

const toRecord = (message: Batch['messages'][number]): SourceRecord => ({
  offset: BigInt(message.offset),
  timestampMs: message.timestamp,
  key: message.key,
  value: message.value,
  headers: message.headers as SourceRecord['headers'],
});

/** The offset the fetch asked for; kafkajs keeps it on the batch but not in its types. */
const fetchedFrom = (batch: Batch): bigint => BigInt((batch as Batch & { fetchedOffset: string }).fetchedOffset);

/** Heartbeats go on while work waits for Redis; a rebalance seen meanwhile is raised when the work is done. */
async function keepAlive<T>(heartbeat: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let failure: unknown;
  const timer = setInterval(() => {
    heartbeat().catch((error: unknown) => (failure = error));
  }, keepAliveMs);
  try {
    const result = await work();
    if (failure !== undefined) throw failure;
    return result;
  } finally {
    clearInterval(timer);
  }
}
