/** What the run loop and a processor say to each other. A new processor is one folder beside `cdc/` that implements this. */
import type { SourceRecord } from '../domain/change-event.ts';
import type { PartitionRef } from '../domain/topics.ts';

/** A partition this process owns: the fence it works under. The processor moves `offset` with each commit. */
export interface Claim extends PartitionRef {
  epoch: number;
  /** Stored fence; null when nothing was ever applied. */
  offset: bigint | null;
  /** Fields of the pipeline hash that must not change under a batch. */
  guards: Record<string, string>;
  /** Generation of the topic: part of every row's version. */
  generation: number;
  /** Fingerprint the first delivered record must have; null when there is nothing to check any more. */
  expect: string | null;
}

export type Applied =
  | { result: 'applied' }
  /** Stopped before the first event outside verify's snapshot; what came before is applied. */
  | { result: 'held'; token: string }
  /** The commit was refused: another owner (`epoch` larger than the claim's) or a fence that moved back. */
  | { result: 'refused'; epoch: number; offset: bigint | null; cause: 'fence' | 'guard' };

export interface Processor {
  topics: string[];
  /**
   * Applies records of one partition, in order, none of them applied before, atomically with the fence.
   * Safe to call again with the same records after any failure. Throws PipelineError with action `pause`
   * when the partition needs a human.
   */
  apply: (claim: Claim, records: SourceRecord[]) => Promise<Applied>;
}
