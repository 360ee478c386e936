/**
 * The heart: a batch of one partition's events and the stored rows they touch → the writes that make the replica right.
 * Pure. Every counter moves by (new contributions − stored contributions), so any redelivery or re-split ends the same.
 */
import { add, negate, type Amount } from './amount.ts';
import type { Operation, RowChange, TableEvent, Truncate } from './change-event.ts';
import { names, rowName } from './keys.ts';
import type { MarkChange } from './parked.ts';
import { formatStoredRow, isNewer, type StoredRow } from './stored-row.ts';
import { isBeforeMark, type TableState } from './table-state.ts';
import type { Contributions, Table } from './tables/table.ts';

/** Writes of one commit, by logical names. All of them or none are applied. */
export interface WritePlan {
  /** Row name → text. */
  rows: Map<string, string>;
  /** Row names whose rows are gone. */
  deletes: Set<string>;
  /** Ids that a delete has moved past their dead letters, if there are any. */
  unparked: Set<string>;
  /** Id → its parked mark, for those with a dead letter or a replay in the batch. */
  marks: ReadonlyMap<string, MarkChange>;
  /** Hash → field → amount. */
  counters: Map<string, Map<string, Amount>>;
  /** Sorted set → member → score, null removes. */
  members: Map<string, Map<string, number | null>>;
  /** Newest last. */
  changes: ChangeEntry[];
  /** Events whose operation could be read, applied or not. */
  eventCount: number;
  /** Largest LSN and commit time seen; null when no event carried one. */
  lastLsn: string | null;
  lastCommitMs: number | null;
}

export interface ChangeEntry {
  op: Operation;
  /** Name of the row; empty for a TRUNCATE. */
  key: string;
  offset: bigint;
  lsn: string;
  columns: string[];
}

export interface FoldInput {
  table: Table;
  state: Pick<TableState, 'generation' | 'mark'>;
  /** In the order of their records, none of them applied before; replays that come too late are left out. */
  events: TableEvent[];
  /** Where `settleParked` left the parked marks. */
  marks: ReadonlyMap<string, MarkChange>;
  /** Row name → stored row; absent when there is none. */
  stored: ReadonlyMap<string, StoredRow>;
  /** How many of the last changes to tell. */
  changesMax: number;
}

const countedAs: Partial<Record<Operation, string>> = { c: 'created', u: 'updated', d: 'deleted' };

/** Row names a batch needs before it can be folded, each once. */
export function rowsTouched(table: Table, events: TableEvent[]): string[] {
  const touched = new Set<string>();
  for (const event of events) if ((event.kind === 'change' || event.kind === 'rejected') && event.id !== null) touched.add(rowName(table.entity, event.id));
  return [...touched];
}

/** Folds a batch. Images from before the table's truncate mark are counted as events and change nothing. */
export function foldBatch({ table, state, events, marks, stored, changesMax }: FoldInput): WritePlan {
  const plan: WritePlan = { ...emptyPlan(), marks };
  const last = new Map<string, RowChange>();
  for (const event of events) {
    if (event.kind === 'tombstone') continue;
    countEvent(plan, table, event);
    if (event.kind === 'rejected') continue;
    tellChange(plan, table, event);
    if (event.kind === 'change' && !isBeforeMark(event.lsn, state)) last.set(rowName(table.entity, event.id), event);
  }
  plan.changes = changesMax === 0 ? [] : plan.changes.slice(-changesMax);
  for (const [name, change] of last) replaceRow(plan, name, change, stored.get(name), state.generation);
  return plan;
}

/** Takes rows away together with what they contributed. `rows`: row name → what is stored. */
export function removeRows(rows: ReadonlyMap<string, StoredRow>): WritePlan {
  const plan = emptyPlan();
  for (const [name, row] of rows) {
    plan.deletes.add(name);
    takeBack(plan, row.contributions);
  }
  return plan;
}

const emptyPlan = (): WritePlan => ({
  rows: new Map(),
  deletes: new Set(),
  unparked: new Set(),
  marks: new Map(),
  counters: new Map(),
  members: new Map(),
  changes: [],
  eventCount: 0,
  lastLsn: null,
  lastCommitMs: null,
});

function tellChange(plan: WritePlan, table: Table, event: RowChange | Truncate): void {
  const { op, offset, lsn, commitMs } = event;
  const [key, columns] = event.kind === 'change' ? [rowName(table.entity, event.id), event.changed] : ['', []];
  plan.changes.push({ op, key, offset, lsn, columns });
  if (plan.lastLsn === null || BigInt(lsn) > BigInt(plan.lastLsn)) plan.lastLsn = lsn;
  if (plan.lastCommitMs === null || commitMs > plan.lastCommitMs) plan.lastCommitMs = commitMs;
}

function countEvent(plan: WritePlan, table: Table, event: Exclude<TableEvent, { kind: 'tombstone' }>): void {
  if (event.kind !== 'truncate' && event.replay) return; // counted when it was rejected
  if (event.kind === 'rejected') count(plan, names.stats(table.name), 'dead', 1);
  if (event.op === null) return;
  plan.eventCount += 1;
  count(plan, names.stats(table.name), event.op, 1);
  const counter = countedAs[event.op];
  if (counter) count(plan, names.live(table.name), counter, 1);
}

function replaceRow(plan: WritePlan, name: string, change: RowChange, stored: StoredRow | undefined, generation: number): void {
  if (stored && !isNewer({ generation, offset: change.offset }, stored.version)) return;
  if (change.image === null) {
    plan.deletes.add(name);
    if (!plan.marks.has(change.id)) plan.unparked.add(change.id);
  } else plan.rows.set(name, formatStoredRow(change, generation));
  if (stored) takeBack(plan, stored.contributions);
  for (const [hash, field, amount] of change.contributions.counters) count(plan, hash, field, amount);
  for (const [zset, member, score] of change.contributions.members) place(plan, zset, member, score);
}

function takeBack(plan: WritePlan, { counters, members }: Contributions): void {
  for (const [hash, field, amount] of counters) count(plan, hash, field, negate(amount));
  for (const [zset, member] of members) place(plan, zset, member, null);
}

function count(plan: WritePlan, hash: string, field: string, amount: Amount): void {
  const fields = entry(plan.counters, hash);
  fields.set(field, add(fields.get(field) ?? 0, amount));
}

function place(plan: WritePlan, zset: string, member: string, score: number | null): void {
  entry(plan.members, zset).set(member, score);
}

function entry<V>(map: Map<string, Map<string, V>>, name: string): Map<string, V> {
  let inner = map.get(name);
  if (!inner) map.set(name, (inner = new Map<string, V>()));
  return inner;
}
