/**
 * Runs a processor over a consumer group: claims partitions, cuts batches to size, and decides what a refusal means.
 * Invariant: a partition is only ever read from its stored fence on; anything unexpected ends in a new claim or a halt.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createKafkaConsumer, partitionName, type ConsumerOptions, type KafkaConsumer, type PartitionRef, type RecordBatch } from '../adapters/kafka-consumer.ts';
import type { SourceRecord } from '../domain/change-event.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { claimPartitions, type ClaimContext } from './claim.ts';
import { splitBatch, type BatchLimits } from './batch-limits.ts';
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
  /** Called once partitions are assigned and claimed. */
  ready: () => void;
}

const holdPollMs = 50;

/** One session of the group. Resolves with the reason when the session has crashed, never otherwise. */
export function runSession(options: RunLoopOptions): { consumer: KafkaConsumer; ended: Promise<Error> } {
  const { claim: context, processor, limits, status, log } = options;
  const claims = new Map<string, Claim>();
  let end: (reason: Error) => void = () => undefined;
  const ended = new Promise<Error>((resolve) => (end = resolve));

  const halt = async (ref: PartitionRef, why: string): Promise<void> => {
    log.error({ ...ref, why }, 'partition halted');
    claims.delete(partitionName(ref));
    await status.halted(ref.topic, why);
  };

  const claimAll = async (refs: PartitionRef[]): Promise<(PartitionRef & { offset: bigint | null })[]> => {
    const results = await claimPartitions(context, refs);
    const starts: (PartitionRef & { offset: bigint | null })[] = [];
    const running = new Set(refs.map(({ topic }) => topic));
    for (const result of results) {
      if ('halt' in result) {
        running.delete(result.ref.topic);
        await halt(result.ref, result.halt);
        starts.push({ ...result.ref, offset: null });
        continue;
      }
      const { topic, partition } = result.claim;
      claims.set(partitionName(result.claim), result.claim);
      starts.push({ topic, partition, offset: result.start });
    }
    for (const topic of running) await status.running(topic);
    log.info({ partitions: refs.length }, 'partitions claimed');
    options.ready();
    return starts;
  };

  /** Every fence is in doubt (Redis went back, or another claim came between): claim all again. */
  const reclaimAll = async (): Promise<void> => {
    const refs = consumer.assigned();
    claims.clear();
    consumer.pause(refs);
    for (const { offset, ...ref } of await claimAll(refs)) if (offset !== null) consumer.resumeAt(ref, offset);
  };

  const refused = (claim: Claim, outcome: Extract<Applied, { result: 'refused' }>): void => {
    log.warn(
      { topic: claim.topic, partition: claim.partition, mine: claim.epoch, stored: outcome.epoch, fence: String(claim.offset), storedFence: String(outcome.offset), cause: outcome.cause },
      'commit refused',
    );
    if (claims.get(partitionName(claim)) !== claim) return; // claimed anew meanwhile: this batch is a ghost
    claims.delete(partitionName(claim));
    if (outcome.epoch > claim.epoch) consumer.pause([claim]); // another owner: the group will tell us
    else reclaimAll().catch(end);
  };

  /** Waits, off the read path, until verify lets go; then reads on from the fence. */
  const waitForRelease = async (claim: Claim, token: string): Promise<void> => {
    await status.held(claim, token);
    while ((await status.holdToken()) === token) await delay(holdPollMs);
    if (claims.get(partitionName(claim)) === claim) consumer.resumeAt(claim, claim.offset ?? 0n);
  };

  const process = async (batch: RecordBatch): Promise<boolean> => {
    const claim = claims.get(partitionName(batch));
    if (!claim) return false;
    const records = await checkFirst(claim, batch.records);
    if (!records) return false;
    for (const part of splitBatch(records, limits)) {
      const outcome = await processor.apply(claim, part);
      if (outcome.result === 'applied') continue;
      if (outcome.result === 'refused') refused(claim, outcome);
      else {
        consumer.pause([claim]);
        waitForRelease(claim, outcome.token).catch(end);
      }
      return false;
    }
    return true;
  };

  /** Records that were not applied yet; null when the log is not the one the fence was written for. */
  const checkFirst = async (claim: Claim, records: SourceRecord[]): Promise<SourceRecord[] | null> => {
    const { offset, expect } = claim;
    if (expect !== null) {
      const first = records[0]!;
      if (first.offset !== offset! - 1n || fingerprint(first) !== expect) {
        consumer.pause([claim]);
        await halt(claim, `the record before the fence (offset ${offset! - 1n}) is not the one that was applied: the topic was re-created or cut`);
        return null;
      }
      claim.expect = null;
    }
    return offset === null ? records : records.filter((record) => record.offset >= offset);
  };

  const guarded = async (batch: RecordBatch): Promise<boolean> => {
    try {
      return await process(batch);
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'pause') throw error;
      consumer.pause([batch]);
      await halt(batch, error.message);
      return false;
    }
  };

  const consumer = createKafkaConsumer(options.consumer, { claim: claimAll, process: guarded, crashed: end });
  consumer.start().catch(end);
  return { consumer, ended };
}
