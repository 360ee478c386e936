/**
 * The heart: a batch of one partition's events and the stored rows they touch → the writes that make the replica right.
 * Pure. Every counter moves by (new contributions − stored contributions), so any redelivery or re-split ends the same.
 */
import { add, negate, type Amount } from './amount.ts';
import type { Operation, RowChange, RowOperation, TableEvent } from './change-event.ts';
import { names, rowName } from './keys.ts';
import { formatStoredRow, isNewer, type StoredRow } from './stored-row.ts';
import type { Contributions, Table } from './tables/table.ts';

/** Writes of one commit, by logical names. All of them or none are applied. */
export interface WritePlan {
  /** Row name → text. */
  rows: Map<string, string>;
  /** Row names whose rows are gone, with the offset of the delete. */
  deletes: Map<string, { id: string; offset: bigint }>;
  /** Ids whose event was dead-lettered, with the offset last applied to them (-1 when none). */
  parked: Map<string, bigint>;
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
  op: RowOperation;
  key: string;
  offset: bigint;
  lsn: string;
  columns: string[];
}

export interface FoldInput {
  table: Table;
  generation: number;
  /** In offset order, none of them applied before. */
  events: TableEvent[];
  /** Row name → stored row; absent when there is none. */
  stored: ReadonlyMap<string, StoredRow>;
  /** How many of the last changes to tell. */
  changesMax: number;
}

const countedAs: Partial<Record<Operation, string>> = { c: 'created', u: 'updated', d: 'deleted' };
const nothing: Contributions = { counters: [], members: [] };

/** Row names a batch needs before it can be folded, each once. */
export function rowsTouched(table: Table, events: TableEvent[]): string[] {
  const touched = new Set<string>();
  for (const event of events) if (event.kind !== 'tombstone' && event.id !== null) touched.add(rowName(table.entity, event.id));
  return [...touched];
}

/** Folds a batch. */
export function foldBatch({ table, generation, events, stored, changesMax }: FoldInput): WritePlan {
  const plan: WritePlan = {
    rows: new Map(),
    deletes: new Map(),
    parked: new Map(),
    counters: new Map(),
    members: new Map(),
    changes: [],
    eventCount: 0,
    lastLsn: null,
    lastCommitMs: null,
  };
  const last = new Map<string, RowChange>();
  for (const event of events) {
    if (event.kind === 'tombstone') continue;
    countEvent(plan, table, event);
    if (event.kind === 'rejected') {
      if (event.id !== null) park(plan, event.id, rowName(table.entity, event.id), last, stored);
      continue;
    }
    last.set(rowName(table.entity, event.id), event);
    plan.changes.push({ op: event.op, key: rowName(table.entity, event.id), offset: event.offset, lsn: event.lsn, columns: event.changed });
    if (plan.lastLsn === null || BigInt(event.lsn) > BigInt(plan.lastLsn)) plan.lastLsn = event.lsn;
    if (plan.lastCommitMs === null || event.commitMs > plan.lastCommitMs) plan.lastCommitMs = event.commitMs;
  }
  plan.changes = changesMax === 0 ? [] : plan.changes.slice(-changesMax);
  for (const [name, change] of last) replaceRow(plan, name, change, stored.get(name), generation);
  return plan;
}

function countEvent(plan: WritePlan, table: Table, event: Exclude<TableEvent, { kind: 'tombstone' }>): void {
  if (event.kind === 'rejected') count(plan, names.stats(table.name), 'dead', 1);
  if (event.op === null) return;
  plan.eventCount += 1;
  count(plan, names.stats(table.name), event.op, 1);
  const counter = countedAs[event.op];
  if (counter) count(plan, names.live(table.name), counter, 1);
}

function park(plan: WritePlan, id: string, name: string, last: Map<string, RowChange>, stored: ReadonlyMap<string, StoredRow>): void {
  if (!plan.parked.has(id)) plan.parked.set(id, last.get(name)?.offset ?? stored.get(name)?.version.offset ?? -1n);
}

function replaceRow(plan: WritePlan, name: string, change: RowChange, stored: StoredRow | undefined, generation: number): void {
  if (stored && !isNewer({ generation, offset: change.offset }, stored.version)) return;
  if (change.image === null) plan.deletes.set(name, { id: change.id, offset: change.offset });
  else plan.rows.set(name, formatStoredRow(change, generation));
  const before = stored?.contributions ?? nothing;
  for (const [hash, field, amount] of before.counters) count(plan, hash, field, negate(amount));
  for (const [hash, field, amount] of change.contributions.counters) count(plan, hash, field, amount);
  for (const [zset, member] of before.members) place(plan, zset, member, null);
  for (const [zset, member, score] of change.contributions.members) place(plan, zset, member, score);
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
