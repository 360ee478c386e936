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
  /** Ids that a delete has moved past their dead letters, if there are any, with its offset. */
  unparked: Map<string, bigint>;
  /** Id → its parked mark, for those with a dead letter or a replay in the batch. */
  marks: ReadonlyMap<string, MarkChange>;
  /** Hash → field → amount. */
  counters: Map<string, Map<string, Amount>>;
  /** Sorted set → member → its move; every member belongs to one row. */
  members: Map<string, Map<string, MemberMove>>;
  /** Newest last. */
  changes: ChangeEntry[];
  /** Hash of the events by operation, and of the maxima below. */
  countedIn: string;
  /** Events whose operation could be read, applied or not. */
  eventCount: number;
  /** Largest LSN, latest and earliest commit time seen; null when no event carried one. */
  lastLsn: string | null;
  lastCommitMs: number | null;
  firstCommitMs: number | null;
}

/** Scores of a set member as contributed before and from now on; null = not in the set. */
export interface MemberMove {
  before: number | null;
  after: number | null;
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

const countedAs: Record<string, string> = { c: 'created', u: 'updated', d: 'deleted' };

/** Folds a batch. Images from before the table's truncate mark are counted as events and change nothing. */
export function foldBatch({ table, state, events, marks, stored, changesMax }: FoldInput): WritePlan {
  const { events: countedIn, changes } = table.counts ?? { events: names.stats(table.name), changes: names.live(table.name) };
  const plan: WritePlan = { ...emptyPlan(), marks, countedIn };
  const counts = new Map<string, number>();
  const told: (RowChange | Truncate)[] = [];
  const last = new Map<string, RowChange>();
  for (const event of events) {
    if (event.kind === 'tombstone') continue;
    countEvent(counts, event);
    if (event.kind === 'rejected') continue;
    told.push(event);
    if (plan.lastLsn === null || isLarger(event.lsn, plan.lastLsn)) plan.lastLsn = event.lsn;
    if (plan.lastCommitMs === null || event.commitMs > plan.lastCommitMs) plan.lastCommitMs = event.commitMs;
    if (plan.firstCommitMs === null || event.commitMs < plan.firstCommitMs) plan.firstCommitMs = event.commitMs;
    if (event.kind === 'change' && !isBeforeMark(event.lsn, state)) last.set(rowName(table.entity, event.id), event);
  }
  tellEvents(plan, changes, counts);
  if (changesMax > 0) plan.changes = told.slice(-changesMax).map((event) => changeEntry(table, event));
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
  unparked: new Map(),
  marks: new Map(),
  counters: new Map(),
  members: new Map(),
  changes: [],
  countedIn: '',
  eventCount: 0,
  lastLsn: null,
  lastCommitMs: null,
  firstCommitMs: null,
});

function changeEntry(table: Table, event: RowChange | Truncate): ChangeEntry {
  const { op, offset, lsn } = event;
  return event.kind === 'change' ? { op, key: rowName(table.entity, event.id), offset, lsn, columns: event.changed } : { op, key: '', offset, lsn, columns: [] };
}

/** Of two decimal texts without leading zeros. */
const isLarger = (a: string, b: string): boolean => a.length > b.length || (a.length === b.length && a > b);

function countEvent(counts: Map<string, number>, event: Exclude<TableEvent, { kind: 'tombstone' }>): void {
  if (event.kind !== 'truncate' && event.replay) return; // counted when it was rejected
  if (event.kind === 'rejected') counts.set('dead', (counts.get('dead') ?? 0) + 1);
  if (event.op !== null) counts.set(event.op, (counts.get(event.op) ?? 0) + 1);
}

/** `changes`: the hash of what was created, updated and deleted, if that is counted. */
function tellEvents(plan: WritePlan, changes: string | null, counts: Map<string, number>): void {
  for (const [op, events] of counts) {
    count(plan, plan.countedIn, op, events);
    if (op === 'dead') continue;
    plan.eventCount += events;
    const counter = countedAs[op];
    if (counter && changes !== null) count(plan, changes, counter, events);
  }
}

function replaceRow(plan: WritePlan, name: string, change: RowChange, stored: StoredRow | undefined, generation: number): void {
  const { id, offset, image, contributions } = change;
  if (stored && !isNewer({ generation, offset }, stored.version)) return;
  if (image === null) {
    plan.deletes.add(name);
    if (!plan.marks.has(id)) plan.unparked.set(id, offset);
  } else plan.rows.set(name, formatStoredRow(change, image, generation));
  moveCounters(plan, stored?.contributions.counters ?? [], contributions.counters);
  const before = stored?.contributions.members ?? [];
  if (sameMembers(before, contributions.members)) return;
  for (const [zset, member, score] of before) move(plan, zset, member).before = score;
  for (const [zset, member, score] of contributions.members) move(plan, zset, member).after = score;
}

/** Most contributions of an updated row stay what they were: those are compared, not summed. */
function moveCounters(plan: WritePlan, before: Contributions['counters'], after: Contributions['counters']): void {
  for (let i = 0; i < before.length || i < after.length; i += 1) {
    const old = before[i];
    const now = after[i];
    if (old && now && old[0] === now[0] && old[1] === now[1] && old[2] === now[2]) continue;
    if (old) count(plan, old[0], old[1], negate(old[2]));
    if (now) count(plan, now[0], now[1], now[2]);
  }
}

/** Nearly every update leaves its row in the set it is in. */
const sameMembers = (a: Contributions['members'], b: Contributions['members']): boolean =>
  a.length === b.length && a.every(([zset, member, score], i) => zset === b[i]![0] && member === b[i]![1] && score === b[i]![2]);

function takeBack(plan: WritePlan, { counters, members }: Contributions): void {
  for (const [hash, field, amount] of counters) count(plan, hash, field, negate(amount));
  for (const [zset, member, score] of members) move(plan, zset, member).before = score;
}

function count(plan: WritePlan, hash: string, field: string, amount: Amount): void {
  const fields = entry(plan.counters, hash);
  fields.set(field, add(fields.get(field) ?? 0, amount));
}

function move(plan: WritePlan, zset: string, member: string): MemberMove {
  const members = entry(plan.members, zset);
  let known = members.get(member);
  if (!known) members.set(member, (known = { before: null, after: null }));
  return known;
}

function entry<V>(map: Map<string, Map<string, V>>, name: string): Map<string, V> {
  let inner = map.get(name);
  if (!inner) map.set(name, (inner = new Map<string, V>()));
  return inner;
}
