/**
 * New events whose time is out of order: judged by the event alone, so every replay of a topic counts the same. Pure.
 * They are counted in their minute all the same: a closed minute goes on being corrected.
 */
import type { TableEvent } from '../change-event.ts';
import { minuteMs } from './minute.ts';

/** `late`: committed when its minute was closed by the source's clock. `ahead`: of a time that had not come. */
export type OutOfOrder = 'late' | 'ahead';

/** Clocks of shops differ by less. */
const aheadMostMs = minuteMs;

/** Null for what is in time, and for what is not new: snapshot reads, updates and deletes. */
export function outOfOrder(event: TableEvent, latenessMs: number): OutOfOrder | null {
  if (event.kind !== 'change' || event.op !== 'c') return null;
  const { atMs } = event.contributions.facts ?? {};
  if (atMs === undefined) return null;
  if (atMs > event.commitMs + aheadMostMs) return 'ahead';
  return event.commitMs >= closesAt(atMs, latenessMs) ? 'late' : null;
}

/** When, by the source's clock, the minute of an event time is closed. */
const closesAt = (atMs: number, latenessMs: number): number => (Math.floor(atMs / minuteMs) + 1) * minuteMs + latenessMs;
