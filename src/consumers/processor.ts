/** What the run loop and a processor say to each other. */
import type { SourceRecord } from '../domain/change-event.ts';
import type { WritePlan } from '../domain/fold.ts';
import type { TouchInput } from '../domain/stream/touches.ts';
import type { Upkeep } from '../domain/upkeep.ts';
import type { Fence } from '../replica/commit.ts';

/** A partition this process owns: the fence it works under. The processor moves `offset` with each commit. */
export interface Claim extends Fence {
  /** Fingerprint the first delivered record must have; null when there is nothing to check any more. */
  expect: string | null;
}

export type Applied =
  | { result: 'applied' }
  /** Stopped before the first event outside verify's snapshot; what came before is applied. */
  | { result: 'held'; token: string }
  /** The commit was refused: another owner (`stored` epoch larger than the claim's), a fence that moved, or other rules. */
  | { result: 'refused'; cause: 'epoch' | 'offset' | 'spec'; stored: string };

export interface Processor {
  topics: string[];
  /** Partitions, by `<topic>-<partition>`, that stand still because one record is long work: no stall. */
  readonly standing: ReadonlySet<string>;
  /**
   * Applies records of one partition, in order, none of them applied before, atomically with the fence.
   * Safe to call again with the same records after any failure. Throws PipelineError with action `pause`
   * when the partition needs a human.
   */
  apply: (claim: Claim, records: SourceRecord[]) => Promise<Applied>;
}

/** What a processor is told that keeps counters for a time only, beside tables of its own. */
export interface Windows {
  /**
   * Takes out of a plan what belongs to windows that are over, and counts in it the events whose time is out of order; how the other windows
   * are looked after in the same commit, and what it gives others to look at. `batch`: what the plan was made of, unless rows are swept.
   */
  tend: (plan: WritePlan, batch?: Pick<TouchInput, 'table' | 'events' | 'stored' | 'partition'>) => Upkeep;
  /** The source's clock, as the last heartbeat tells it, milliseconds since 1970. */
  tick: (sourceMs: number) => Promise<void>;
}
