/**
 * Runs a processor over one session of a consumer group: claims partitions, cuts batches to size, decides what a refusal means.
 * Invariant: a partition is only ever read from its stored fence on; anything unexpected ends in a new claim or a halt.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { KafkaConsumer, type ConsumerOptions, type PartitionStart, type RecordBatch } from '../adapters/kafka-consumer.ts';
import type { SourceRecord } from '../domain/change-event.ts';
import { PipelineError } from '../domain/errors.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';
import type { Logger } from '../telemetry/logger.ts';
import { splitBatch, type BatchLimits } from './batch-limits.ts';
import { claimPartitions, type ClaimContext } from './claim.ts';
import { fingerprint } from './fingerprint.ts';
import type { Applied, Claim, Processor } from './processor.ts';
import type { ReplicaStatus } from './status.ts';

export interface RunLoopOptions {
  consumer: ConsumerOptions;
  claim: ClaimContext;
  processor: Processor;
  limits: BatchLimits;
  status: ReplicaStatus;
  log: Logger;
  /** Called whenever the assigned partitions are claimed. */
  ready: () => void;
}

const holdPollMs = 50;
const seenIntervalMs = 200;

export class Session {
  readonly consumer: KafkaConsumer;
  /** Resolves with the reason once the session cannot go on. */
  readonly ended: Promise<Error>;
  readonly #options: RunLoopOptions;
  readonly #claims = new Map<string, Claim>();
  /** Partitions that stand still on purpose: halted, or held for verify. */
  readonly #parked = new Set<string>();
  /** `<fence>:<position>` as last told. */
  readonly #told = new Map<string, string>();
  #end: (reason: Error) => void = () => undefined;

  constructor(options: RunLoopOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.consumer = new KafkaConsumer(options.consumer, {
      claim: (partitions, isCurrent) => this.#claim(partitions, isCurrent),
      process: (batch) => this.#processOrHalt(batch),
      crashed: this.#end,
    });
  }

  /** Reads until `signal`. */
  start(signal: AbortSignal): void {
    this.consumer.start().catch(this.#end);
    this.#tellSeen(signal).catch(this.#end);
  }

  /** Where each assigned partition stands; 0 while it waits for its claim, left out while it stands still on purpose. */
  get positions(): ReadonlyMap<string, bigint> {
    const names = this.consumer.assigned.map(partitionName).filter((name) => !this.#parked.has(name));
    return new Map(names.map((name) => [name, this.consumer.positions.get(name) ?? 0n]));
  }

  async #claim(refs: PartitionRef[], isCurrent: () => boolean): Promise<PartitionStart[]> {
    const { claim: context, status, log, ready } = this.#options;
    const results = await claimPartitions(context, refs, isCurrent);
    if (!isCurrent()) return [];
    const halted = results.flatMap((result) => ('halt' in result ? [result] : []));
    const claimed = results.flatMap((result) => ('claim' in result ? [result] : []));
    for (const { claim } of claimed) {
      this.#claims.set(partitionName(claim), claim);
      this.#parked.delete(partitionName(claim));
    }
    await status.running(claimed.map(({ claim }) => claim));
    for (const { ref, halt } of halted) await this.#halt(ref, halt);
    log.info({ partitions: claimed.length, halted: halted.length }, 'partitions claimed');
    ready();
    return claimed.map(({ claim: { topic, partition }, start }) => ({ topic, partition, offset: start }));
  }

  async #halt(ref: PartitionRef, why: string): Promise<void> {
    this.#options.log.error({ topic: ref.topic, partition: ref.partition, why }, 'partition halted');
    this.#claims.delete(partitionName(ref));
    this.#parked.add(partitionName(ref));
    await this.#options.status.halted(ref, why).catch(this.#end); // a halt that nobody can see is worse than a new session
  }

  /** What time heals is thrown on, the client tries again; anything else stops this partition only. */
  async #processOrHalt(batch: RecordBatch): Promise<boolean> {
    try {
      return await this.#process(batch);
    } catch (error) {
      if (error instanceof PipelineError && error.action === 'retry') throw error;
      this.consumer.pause([batch]);
      await this.#halt(batch, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  async #process(batch: RecordBatch): Promise<boolean> {
    const claim = this.#claims.get(partitionName(batch));
    if (!claim) return false;
    for (const part of splitBatch(unapplied(claim, batch.records), this.#options.limits)) {
      const outcome = await this.#options.processor.apply(claim, part);
      if (outcome.result === 'applied') continue;
      if (outcome.result === 'refused') this.#refused(claim, outcome);
      else this.#hold(claim, outcome.token);
      return false;
    }
    return true;
  }

  #refused(claim: Claim, { epoch, offset, cause }: Extract<Applied, { result: 'refused' }>): void {
    const { topic, partition } = claim;
    this.#options.log.warn(
      { topic, partition, cause, epoch: claim.epoch, storedEpoch: epoch, fence: String(claim.offset), storedFence: String(offset) },
      'commit refused',
    );
    if (this.#claims.get(partitionName(claim)) !== claim) return; // claimed anew meanwhile: this batch is a ghost
    this.consumer.pause([claim]);
    // A larger epoch is another owner's: join the group anew to learn who owns what. Otherwise Redis went back or a guard moved.
    if (epoch > claim.epoch) this.#end(new PipelineError('partition_lost', `${partitionName(claim)} was claimed by another consumer`));
    else this.reclaimAll();
  }

  /** Every fence is in doubt: all are claimed again. */
  reclaimAll(): void {
    this.#claims.clear();
    this.consumer.reclaim();
  }

  /** Stands still, off the read path, until verify lets go; then reads on from the fence. */
  #hold(claim: Claim, token: string): void {
    const { status } = this.#options;
    const wait = async (): Promise<void> => {
      await status.held(claim, token);
      while ((await status.holdToken()) === token) await delay(holdPollMs);
      if (this.#claims.get(partitionName(claim)) !== claim) return;
      this.#parked.delete(partitionName(claim));
      this.consumer.resumeAt(claim, claim.offset ?? 0n);
    };
    this.consumer.pause([claim]);
    this.#parked.add(partitionName(claim));
    wait().catch(this.#end);
  }

  /** Tells how far each partition is read past its fence, where only transaction markers are. */
  async #tellSeen(signal: AbortSignal): Promise<void> {
    const { status } = this.#options;
    while (!signal.aborted) {
      for (const [name, claim] of this.#claims) {
        const position = this.consumer.positions.get(name);
        if (position === undefined || claim.offset === null || position <= claim.offset) continue;
        const told = `${claim.offset}:${position}`;
        if (this.#told.get(name) === told) continue;
        await status.seen(claim, claim.offset, position);
        this.#told.set(name, told);
      }
      await delay(seenIntervalMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/**
 * Records past the fence. At the first delivery after a claim the record before the fence must come first and be the one
 * that was applied; throws PipelineError `topic_cut` otherwise.
 */
function unapplied(claim: Claim, records: SourceRecord[]): SourceRecord[] {
  const { offset, expect } = claim;
  if (offset === null) return records;
  if (expect !== null) {
    const first = records[0]!;
    if (first.offset !== offset - 1n || fingerprint(first) !== expect) {
      throw new PipelineError('topic_cut', `the record before the fence (offset ${offset - 1n}) is not the one that was applied: the topic was re-created or cut`);
    }
    claim.expect = null;
  }
  return records.filter((record) => record.offset >= offset);
}
