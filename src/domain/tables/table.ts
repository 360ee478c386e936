/** What a processor knows of one source table: its columns and what one row contributes. */
import type { Amount } from '../amount.ts';
import type { ColumnType, Row } from '../columns.ts';

/** `[hash, field, amount]`: adds `amount` to a counter. Names are logical (no key prefix). */
export type CounterContribution = [hash: string, field: string, amount: Amount];
/** `[zset, member, score]`: the row puts `member` into a sorted set; no other row may claim the same pair. */
export type MemberContribution = [zset: string, member: string, score: number];

export interface Contributions {
  counters: CounterContribution[];
  members: MemberContribution[];
  /** What rules want to know of a row beside; never stored. */
  facts?: { atMs?: number; cents?: Amount };
}

export interface Table {
  /** SQL name, also the last part of the topic. */
  name: string;
  /** Singular, the first part of a row's key. */
  entity: string;
  /** Known columns; others pass through untouched. All must be present in an image. */
  columns: Record<string, ColumnType>;
  /** Where its events are counted by operation, and where as created, updated and deleted; by default as the replica's. */
  counts?: { events: string; changes: string | null };
  /** Pure: the same row always contributes the same. Throws ColumnError when a value cannot be counted exactly. */
  contributions: (row: Row) => Contributions;
}
