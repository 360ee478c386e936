/**
 * One session of a Kafka consumer group, read committed, by partition batches.
 * Invariant: a partition delivers nothing before `claim` has said where it starts, and positions move only when a batch was done.
 * Kafka's own committed offset is written as a hint for lag tools; nothing here ever starts from it.
 */
import type { Batch, Consumer, EachBatchPayload } from 'kafkajs';
import type { SourceRecord } from '../domain/change-event.ts';
import { replayHeaders } from '../domain/replay.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';
import { createClient, headerTexts, translateKafkaError, type KafkaOptions } from './kafka-client.ts';
import { staticMember } from './kafka-static-member.ts';

export interface PartitionStart extends PartitionRef {
  offset: bigint;
}

export interface RecordBatch extends PartitionRef {
  /** Never empty, in offset order; control records and aborted transactions are gone. */
  records: SourceRecord[];
}

export interface ConsumerOptions extends KafkaOptions {
  group: string;
  /** Makes this a static member: who returns under it within the session timeout has its partitions back, nobody else stops. */
  instanceId?: string;
  topics: string[];
  sessionTimeoutMs: number;
  /** Batches of different partitions in work at once. */
  concurrency: number;
}

export interface ConsumerHandlers {
  /**
   * Called at every assignment, one call at a time: where each partition starts; one that is left out stays paused.
   * `isCurrent` turns false when the group has assigned anew: then nothing more may be claimed.
   */
  claim: (partitions: PartitionRef[], isCurrent: () => boolean) => Promise<PartitionStart[]>;
  /** True when the whole batch is applied; false leaves the position where it was: the callee has paused the partition. */
  process: (batch: RecordBatch) => Promise<boolean>;
  /** The session is over; a new one must be made. */
  crashed: (error: Error) => void;
}

/** How soon a member learns that the group assigns anew: until the last one knows, all stand still. */
const heartbeatMs = 500;
/** Within this a topic is seen to have been given more partitions. */
const metadataMs = 60_000;
/** What one fetch brings at most, and how long the broker may wait for something to bring. */
export const fetchOptions = { maxWaitTimeInMs: 250, maxBytesPerPartition: 512 * 1024, maxBytes: 16 * 1024 * 1024, readUncommitted: false };
const hintIntervalMs = 1000;
const keepAliveMs = 1000;

/** A partition between a claim and the next. */
interface Reading {
  /** Next offset to be applied. */
  position: bigint;
  /** Next offset to be fetched: at most one batch ahead of the one in work. */
  fetched: bigint;
  /** The batch in work. */
  work: Promise<void>;
}

export class KafkaConsumer {
  assigned: PartitionRef[] = [];
  /** Under which the group knows this session; null before it has joined. */
  memberId: string | null = null;
  readonly #options: ConsumerOptions;
  readonly #handlers: ConsumerHandlers;
  readonly #consumer: Consumer;
  readonly #readings = new Map<string, Reading>();
  readonly #hinted = new Map<string, bigint>();
  #hints: NodeJS.Timeout | undefined;
  #hinting = false;
  #stopped = false;
  #claiming: Promise<void> = Promise.resolve();

  constructor(options: ConsumerOptions, handlers: ConsumerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#consumer = createClient(options).consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: options.sessionTimeoutMs,
      heartbeatInterval: heartbeatMs,
      ...(options.instanceId === undefined ? {} : { partitionAssigners: [staticMember(options.instanceId, options.topics)] }),
      ...fetchOptions,
      allowAutoTopicCreation: false,
      metadataMaxAge: metadataMs,
      retry: { initialRetryTime: 200, maxRetryTime: 2000, retries: 5, restartOnFailure: async () => false },
    });
    const { GROUP_JOIN, CRASH, END_BATCH_PROCESS } = this.#consumer.events;
    this.#consumer.on(GROUP_JOIN, ({ payload }) => {
      this.memberId = payload.memberId;
      this.#joined(payload.memberAssignment);
    });
    this.#consumer.on(CRASH, ({ payload }) => handlers.crashed(translateKafkaError(payload.error)));
    this.#consumer.on(END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#passOver(payload);
    });
  }

  /** Next offset of each partition that is being read (control records included), by `<topic>-<partition>`. */
  get positions(): ReadonlyMap<string, bigint> {
    return new Map([...this.#readings].map(([name, { position }]) => [name, position]));
  }

  async start(): Promise<void> {
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: this.#options.topics, fromBeginning: true });
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: this.#options.concurrency,
        eachBatch: (payload) => this.#eachBatch(payload),
      });
    } catch (error) {
      throw translateKafkaError(error);
    }
    if (!this.#stopped) this.#hints = setInterval(() => void this.#writeHints(), hintIntervalMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#hints);
    await this.#consumer.disconnect();
    await Promise.all([...this.#readings.values()].map(({ work }) => work));
  }

  /** Stops reading them until they are claimed again, which begins at once. */
  reclaim(partitions: PartitionRef[] = this.assigned): void {
    const { assigned } = this;
    const isCurrent = (): boolean => assigned === this.assigned && !this.#stopped;
    const claim = async (): Promise<void> => {
      if (!isCurrent()) return;
      const starts = await this.#handlers.claim(partitions, isCurrent);
      if (isCurrent()) for (const start of starts) this.resumeAt(start, start.offset);
    };
    this.pause(partitions);
    this.#claiming = this.#claiming.then(claim).catch(this.#handlers.crashed);
  }

  pause(partitions: PartitionRef[]): void {
    for (const ref of partitions) this.#readings.delete(partitionName(ref));
    this.#consumer.pause(partitions.map(({ topic, partition }) => ({ topic, partitions: [partition] })));
  }

  /** Goes on at `offset`, paused before or not. */
  resumeAt({ topic, partition }: PartitionRef, offset: bigint): void {
    this.#readings.set(partitionName({ topic, partition }), { position: offset, fetched: offset, work: Promise.resolve() });
    this.#consumer.seek({ topic, partition, offset: String(offset) });
    this.#consumer.resume([{ topic, partitions: [partition] }]);
  }

  #joined(assignment: Record<string, number[]>): void {
    this.assigned = Object.entries(assignment).flatMap(([topic, list]) => list.map((partition) => ({ topic, partition })));
    this.#readings.clear();
    this.reclaim();
  }

  /** Returns when the batch is taken up, not when it is applied: the client fetches the next one meanwhile. */
  async #eachBatch({ batch, heartbeat, resolveOffset, isStale }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch;
    const name = partitionName({ topic, partition });
    const reading = this.#readings.get(name);
    if (isStale() || !reading) return;
    if (fetchedFrom(batch) !== reading.fetched) {
      this.reclaim([{ topic, partition }]); // kafkajs resets an out-of-range position by itself: a claim sees the cut
      return;
    }
    await keepAlive(heartbeat, reading.work);
    if (isStale() || this.#readings.get(name) !== reading) return; // or claimed anew meanwhile
    this.#advance(name, reading, BigInt(batch.lastOffset()) + 1n, () => this.#handlers.process({ topic, partition, records: batch.messages.map(toRecord) }));
    resolveOffset(batch.messages.at(-1)!.offset);
  }

  /** Nothing but control records and aborted ones was fetched. `firstOffset` is null when not even those are at or behind what was asked for. */
  #passOver({ topic, partition, firstOffset, lastOffset }: PartitionRef & { firstOffset: string | null; lastOffset: string }): void {
    const name = partitionName({ topic, partition });
    const reading = this.#readings.get(name);
    if (!reading) return;
    if (firstOffset !== null && BigInt(firstOffset) === reading.fetched) this.#advance(name, reading, BigInt(lastOffset) + 1n, async () => true);
    else this.reclaim([{ topic, partition }]); // as in #eachBatch: what lies between is gone
  }

  /** One piece of work after the other; the position follows when it is done. What could not be done ends the reading: nothing may follow it. */
  #advance(name: string, reading: Reading, next: bigint, process: () => Promise<boolean>): void {
    const isCurrent = (): boolean => this.#readings.get(name) === reading;
    const work = async (): Promise<void> => {
      if (!isCurrent()) return;
      const done = await process().catch((error: Error) => {
        this.#handlers.crashed(error);
        return false;
      });
      if (done) reading.position = next;
      else if (isCurrent()) this.#readings.delete(name);
    };
    reading.fetched = next;
    reading.work = reading.work.then(work);
  }

  async #writeHints(): Promise<void> {
    if (this.#hinting) return;
    this.#hinting = true;
    try {
      const { positions } = this;
      const moved = [...this.assigned].filter((ref) => positions.get(partitionName(ref)) !== this.#hinted.get(partitionName(ref)));
      const offsets = moved.flatMap((ref) => {
        const offset = positions.get(partitionName(ref));
        return offset === undefined ? [] : [{ ...ref, offset: String(offset) }];
      });
      if (offsets.length > 0) await this.#consumer.commitOffsets(offsets);
      for (const { offset, ...ref } of offsets) this.#hinted.set(partitionName(ref), BigInt(offset));
    } catch {
      this.#hinted.clear(); // only a hint: all are written again at the next tick
    } finally {
      this.#hinting = false;
    }
  }
}

function toRecord({ offset, timestamp, key, value, headers }: Batch['messages'][number]): SourceRecord {
  const record: SourceRecord = { offset: BigInt(offset), timestampMs: timestamp, key, value };
  if (headers?.[replayHeaders.of] !== undefined) record.headers = headerTexts(headers);
  return record;
}

/** The offset the fetch asked for; kafkajs keeps it on the batch but not in its types. */
const fetchedFrom = (batch: Batch): bigint => BigInt((batch as Batch & { fetchedOffset: string }).fetchedOffset);

/** Heartbeats go on while work waits for Redis; a rebalance seen meanwhile is raised when the work is done. */
async function keepAlive(heartbeat: () => Promise<void>, work: Promise<void>): Promise<void> {
  let failure: Error | undefined;
  const timer = setInterval(() => {
    heartbeat().catch((error: Error) => (failure = error));
  }, keepAliveMs);
  try {
    await work;
    if (failure) throw failure;
  } finally {
    clearInterval(timer);
  }
}
