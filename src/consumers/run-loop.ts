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
import { claimPartitions, startOver, type ClaimContext } from './claim.ts';
import { fingerprint } from './fingerprint.ts';
import type { Applied, Claim, Processor } from './processor.ts';

export interface RunLoopOptions {
  consumer: ConsumerOptions;
  claim: ClaimContext;
  processor: Processor;
  limits: BatchLimits;
  log: Logger;
  /** Called whenever the assigned partitions are claimed. */
  ready: () => void;
}

const holdPollMs = 50;
const seenIntervalMs = 200;
const fenceEveryRounds = 5;
const unclaimedEveryRounds = 150;

export class Session {
  readonly consumer: KafkaConsumer;
  /** Resolves with the reason once the session cannot go on. */
  readonly ended: Promise<Error>;
  readonly #options: RunLoopOptions;
  readonly #claims = new Map<string, Claim>();
  /** Partitions that cannot be claimed, and why ('' when they are gone): tried again from time to time, since a topic may be mended. */
  readonly #unclaimed = new Map<string, { ref: PartitionRef; why: string }>();
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
    const { standing } = this.#options.processor;
    const names = this.consumer.assigned.map(partitionName).filter((name) => !this.#parked.has(name) && !standing.has(name));
    const { positions } = this.consumer;
    return new Map(names.map((name) => [name, positions.get(name) ?? 0n]));
  }

  async #claim(refs: PartitionRef[], isCurrent: () => boolean): Promise<PartitionStart[]> {
    const assigned = new Set(this.consumer.assigned.map(partitionName));
    for (const name of this.#claims.keys()) if (!assigned.has(name)) this.#claims.delete(name); // its fence moves under another owner
    for (const name of this.#unclaimed.keys()) if (!assigned.has(name)) this.#unclaimed.delete(name);
    const { claim: context, log, ready } = this.#options;
    const results = await claimPartitions(context, refs, isCurrent);
    if (!isCurrent()) return [];
    const halted = results.flatMap((result) => ('halt' in result && this.#unclaimed.get(partitionName(result.ref))?.why !== result.halt ? [result] : []));
    const gone = results.flatMap((result) => ('gone' in result ? [result] : []));
    const claimed = results.flatMap((result) => ('claim' in result ? [result] : []));
    for (const { claim } of claimed) {
      this.#claims.set(partitionName(claim), claim);
      this.#parked.delete(partitionName(claim));
      this.#unclaimed.delete(partitionName(claim));
      this.#told.delete(partitionName(claim)); // Redis may have forgotten it
      await context.status.clear(toldAs(context, claim), 'halted', partitionName(claim));
    }
    for (const { ref } of gone) {
      this.#leave(ref);
      this.#unclaimed.set(partitionName(ref), { ref, why: '' });
      await context.status.clear(toldAs(context, ref), 'halted', partitionName(ref));
    }
    for (const { ref, halt: why } of halted) {
      this.#unclaimed.set(partitionName(ref), { ref, why });
      await this.#halt(ref, why);
    }
    if (results.length === 0 || claimed.length + halted.length > 0) log.info({ partitions: claimed.length, halted: this.#unclaimed.size }, 'partitions claimed');
    ready();
    return claimed.map(({ claim: { topic, partition }, start }) => ({ topic, partition, offset: start }));
  }

  async #halt(ref: PartitionRef, why: string): Promise<void> {
    this.#options.log.error({ topic: ref.topic, partition: ref.partition, why }, 'partition halted');
    this.#leave(ref);
    const { claim } = this.#options;
    await claim.status.set(toldAs(claim, ref), 'halted', partitionName(ref), why).catch(this.#end); // a halt that nobody can see is worse than a new session
  }

  #leave(ref: PartitionRef): void {
    this.#claims.delete(partitionName(ref));
    this.#parked.add(partitionName(ref));
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
    const records = unapplied(claim, batch.records);
    if (records === null) {
      this.consumer.pause([batch]);
      void this.#startOver(claim).catch(this.#end);
      return false;
    }
    for (const part of splitBatch(records, this.#options.limits)) {
      const outcome = await this.#options.processor.apply(claim, part);
      if (outcome.result === 'applied') continue;
      if (outcome.result === 'refused') this.#refused(claim, outcome);
      else this.#hold(claim, outcome.token);
      return false;
    }
    return true;
  }

  /** The record before the fence is not the one that was applied: the claim that follows starts at the log's beginning. */
  async #startOver(claim: Claim): Promise<void> {
    const { claim: context, log } = this.#options;
    const { topic, partition, offset } = claim;
    const why = `the record before the fence (offset ${(offset ?? 0n) - 1n}) is not the one that was applied: the topic was re-created or cut`;
    log.error({ topic, partition, why }, 'reading the topic anew');
    const low = (await context.admin.offsets(topic)).find((one) => one.partition === partition)?.low ?? 0n;
    await startOver(context, claim, low, why);
    this.consumer.reclaim([claim]);
  }

  #refused(claim: Claim, { cause, stored }: Extract<Applied, { result: 'refused' }>): void {
    const { topic, partition, epoch } = claim;
    this.#options.log.warn({ topic, partition, cause, epoch, fence: String(claim.offset), stored }, 'commit refused');
    if (this.#claims.get(partitionName(claim)) !== claim) return; // claimed anew meanwhile: this batch is a ghost
    this.consumer.pause([claim]);
    // A larger epoch is another owner's: join the group anew to learn who owns what. Otherwise Redis went back or the fence was moved.
    if (cause === 'epoch' && Number(stored) > epoch) this.#end(new PipelineError('partition_lost', `${partitionName(claim)} was claimed by another consumer`));
    else this.reclaimAll();
  }

  /** Every fence is in doubt: all are claimed again. */
  reclaimAll(): void {
    this.#claims.clear();
    this.consumer.reclaim();
  }

  /** Stands still, off the read path, until verify lets go; then reads on from the fence. */
  #hold(claim: Claim, token: string): void {
    const { status } = this.#options.claim;
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

  /** Tells how far each partition is read past its fence, where only transaction markers are; sees a fence that was moved. */
  async #tellSeen(signal: AbortSignal): Promise<void> {
    const { status } = this.#options.claim;
    for (let round = 1; !signal.aborted; round += 1) {
      const { positions } = this.consumer;
      for (const [name, claim] of this.#claims) {
        const position = positions.get(name);
        const fence = claim.offset ?? 0n;
        if (position === undefined || position <= fence) continue;
        const told = `${fence}:${position}`;
        if (this.#told.get(name) === told) continue;
        await status.seen(claim, fence, position);
        this.#told.set(name, told);
      }
      if (round % fenceEveryRounds === 0) await this.#lookAtFences();
      if (round % unclaimedEveryRounds === 0 && this.#unclaimed.size > 0) this.consumer.reclaim([...this.#unclaimed.values()].map(({ ref }) => ref));
      await delay(seenIntervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A partition with work learns at its next commit that its fence was moved (a rebuild); one that is drained learns it here. */
  async #lookAtFences(): Promise<void> {
    const { redis, keys } = this.#options.claim;
    const claims = [...this.#claims.values()];
    const before = claims.map(({ offset }) => offset);
    const stored = await redis.strings(claims.map(({ topic, partition }) => keys.offset(topic, partition)));
    const moved = claims.filter((claim, i) => {
      const fence = stored[i] ? BigInt(stored[i]) : null;
      return this.#claims.get(partitionName(claim)) === claim && fence !== before[i] && fence !== claim.offset;
    });
    if (moved.length > 0) this.reclaimAll();
  }
}

/** Under which name a partition's state is told. */
const toldAs = ({ tableOf }: ClaimContext, { topic }: PartitionRef): string => tableOf(topic) ?? 'heartbeat';

/**
 * Records past the fence. At the first delivery after a claim the record before the fence must come first and be the one
 * that was applied; null when it is not.
 */
function unapplied(claim: Claim, records: SourceRecord[]): SourceRecord[] | null {
  const { offset, expect } = claim;
  if (offset === null) return records;
  if (expect !== null) {
    const first = records[0]!;
    if (first.offset !== offset - 1n || fingerprint(first) !== expect) return null;
    claim.expect = null;
  }
  return records.filter((record) => record.offset >= offset);
}
