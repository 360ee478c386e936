/**
 * One Kafka record of a change topic → one decoded event, or the reason why it can never be applied.
 * Pure and total: any bytes give an answer, nothing throws.
 */
import { fitsInt64 } from './amount.ts';
import { ColumnError, convertColumn, type Row } from './columns.ts';
import { parseJson, stringifyJson } from './json.ts';
import { parseReplay, type Replay } from './replay.ts';
import type { Contributions, Table } from './tables/table.ts';
import { isUnavailable } from './unavailable.ts';

/** A Kafka record as the adapter hands it over. `offset` is the record's place in its partition. */
export interface SourceRecord {
  offset: bigint;
  /** Kafka's time of the record, decimal milliseconds. */
  timestampMs: string;
  key: Buffer | null;
  value: Buffer | null;
  /** Only on a record that was written back from a dead letter. */
  headers?: Record<string, string>;
}

/** create, update, delete, snapshot read; `t` is TRUNCATE. */
export type RowOperation = 'c' | 'u' | 'd' | 'r';
export type Operation = RowOperation | 't';

/** A row change. `image` is null after a delete. LSN and commit time are provenance, never order. */
export interface RowChange {
  kind: 'change';
  /** Of the record; on a replay, of the record that it repeats. */
  offset: bigint;
  replay?: Replay;
  op: RowOperation;
  id: string;
  image: Row | null;
  contributions: Contributions;
  /** Columns whose value was not sent (TOAST), null in `image`; then `contributions` are not known yet. */
  unavailable: string[];
  /** Whether the image has a column that the table does not. */
  foreign: boolean;
  /** Columns of an update whose value differs between before and after; empty where nobody asked. */
  changed: string[];
  lsn: string;
  commitMs: number;
  /** 32-bit transaction id; null on snapshot reads. */
  txId: number | null;
}

/** All rows of the table are gone. It has no key, may stand in any partition, and has no order against the other partitions. */
export interface Truncate {
  kind: 'truncate';
  offset: bigint;
  op: 't';
  lsn: string;
  commitMs: number;
  txId: number | null;
}

/** Counted nowhere, changes nothing: the delete before it did the work. */
export interface Tombstone {
  kind: 'tombstone';
  offset: bigint;
}

/** Can never be applied. `op` is null when the envelope could not be read, `id` when not even the key could be. */
export interface Rejected {
  kind: 'rejected';
  /** Of the record; on a replay, of the record that it repeats. */
  offset: bigint;
  replay?: Replay;
  op: Operation | null;
  reason: RejectReason;
  detail: string;
  id: string | null;
}

export type RejectReason = 'malformed_json' | 'malformed_key' | 'malformed_envelope' | 'bad_column' | 'number_range' | 'unsupported_operation' | 'sum_range' | 'unavailable_value';
export type TableEvent = RowChange | Truncate | Tombstone | Rejected;

const nothing: Contributions = { counters: [], members: [] };
const noColumns: string[] = [];

/** The clocks behind the images are in nanoseconds, beyond 2^53: nobody reads them. */
const imageOf = (envelope: unknown): unknown => (isObject(envelope) ? envelope['after'] : null);

/** Decodes a record of `table`'s topic. `withChanged`: which columns an update has changed is worth the comparison. */
export function decodeTableEvent(table: Table, record: SourceRecord, withChanged = true): TableEvent {
  const id = decodeKey(record.key);
  const replay = parseReplay(record.headers);
  const origin = replay === null || replay === 'malformed' ? { offset: record.offset } : { offset: replay.of, replay };
  const rejected = (reason: RejectReason, detail: string, op: Operation | null = null): Rejected => ({ kind: 'rejected', ...origin, op, reason, detail, id });

  if (replay === 'malformed') return rejected('malformed_envelope', 'its replay headers cannot be read');
  if (record.value === null) return id === null ? rejected('malformed_key', 'a tombstone without a readable key') : { kind: 'tombstone', offset: record.offset };
  let envelope: unknown;
  try {
    envelope = parseJson(record.value.toString('utf8'), imageOf);
  } catch {
    return rejected('malformed_json', 'the value is not JSON');
  }
  if (!isObject(envelope) || !isObject(envelope['source'])) return rejected('malformed_envelope', 'not a Debezium change envelope');
  const { op, source, after } = envelope;
  if (op !== 'c' && op !== 'u' && op !== 'd' && op !== 'r' && op !== 't') return rejected('unsupported_operation', 'unknown op');
  if (source['table'] !== table.name) return rejected('malformed_envelope', 'source.table is another table', op);
  const provenance = decodeSource(source);
  if (provenance === null) return rejected('malformed_envelope', 'source has no readable position', op);
  if (op === 't') return replay ? rejected('unsupported_operation', 'a TRUNCATE cannot be replayed', op) : { kind: 'truncate', offset: record.offset, op, ...provenance };
  if (id === null) return rejected('malformed_key', 'the key is not {"id": integer}', op);
  if (!isObject(after) && op !== 'd') return rejected('malformed_envelope', `op ${op} without after`, op);

  try {
    const { image, unavailable, foreign } = op === 'd' ? noImage : decodeRow(table, id, after as Record<string, unknown>);
    const contributions = image === null || unavailable.length > 0 ? nothing : table.contributions(image);
    if (contributions.counters.some(([, , amount]) => !fitsInt64(amount))) return rejected('number_range', 'a contribution leaves int64', op);
    const { lsn, commitMs, txId } = provenance;
    const changed = op === 'u' && withChanged ? changedColumns(envelope['before'], after) : noColumns;
    const change: RowChange = { kind: 'change', offset: origin.offset, op, id, image, contributions, unavailable, foreign, changed, lsn, commitMs, txId };
    if (replay) change.replay = replay;
    return change;
  } catch (error) {
    if (error instanceof ColumnError) return rejected('bad_column', error.message, op);
    throw error;
  }
}

/** The heartbeat row and its provenance, as stored under `cdc:heartbeat`; null when the record is none. */
export function decodeHeartbeat(record: SourceRecord): { txId: number | null; json: string } | null {
  if (record.value === null) return null;
  try {
    const envelope = parseJson(record.value.toString('utf8'));
    if (!isObject(envelope) || !isObject(envelope['after']) || !isObject(envelope['source'])) return null;
    const { after, source } = envelope;
    const provenance = decodeSource(source);
    if (provenance === null) return null;
    const { lsn, commitMs, txId } = provenance;
    return { txId, json: JSON.stringify({ ...after, _offset: Number(record.offset), _lsn: lsn, _ts_ms: commitMs }) };
  } catch {
    return null;
  }
}

const plainKey = /^\{"id":(0|-?[1-9]\d{0,14})\}$/;

/** The primary key as decimal text; null when it is not {"id": integer}. */
export function decodeKey(key: Buffer | null): string | null {
  if (key === null) return null;
  const text = key.toString('utf8');
  const plain = plainKey.exec(text);
  if (plain) return plain[1]!;
  try {
    const parsed = parseJson(text);
    const id = isObject(parsed) ? parsed['id'] : undefined;
    return Number.isInteger(id) || typeof id === 'bigint' ? String(id) : null;
  } catch {
    return null;
  }
}

interface DecodedRow {
  image: Row | null;
  unavailable: string[];
  foreign: boolean;
}

const noImage: DecodedRow = { image: null, unavailable: noColumns, foreign: false };

/** The image is what was sent, copied only where a value is written otherwise in the replica. */
function decodeRow(table: Table, id: string, after: Record<string, unknown>): DecodedRow {
  let row = after;
  let unavailable = noColumns;
  let foreign = false;
  for (const name in after) {
    const value = after[name];
    const type = Object.hasOwn(table.columns, name) ? table.columns[name] : undefined;
    if (type === undefined && name.startsWith('_')) throw new ColumnError(`column ${name} begins with _, which is the engine's`);
    foreign ||= type === undefined;
    const isMissing = isUnavailable(value);
    if (isMissing) unavailable = [...unavailable, name];
    const converted = isMissing ? null : type === undefined ? value : convertColumn(name, type, value);
    if (converted === value) continue;
    if (row === after) row = { ...after };
    row[name] = converted;
  }
  for (const name in table.columns) if (after[name] === undefined) throw new ColumnError(`column ${name} is missing`);
  if (row['id'] !== Number(id) && String(row['id']) !== id) throw new ColumnError('column id is not the record key');
  return { image: row as Row, unavailable, foreign };
}

function changedColumns(before: unknown, after: unknown): string[] {
  if (!isObject(before) || !isObject(after)) return noColumns;
  return Object.keys(after).filter((name) => before[name] !== after[name] && stringifyJson(before[name]) !== stringifyJson(after[name]));
}

/** Null when a part is there but is not what it should be. */
function decodeSource({ lsn, sequence, ts_ms: commitMs, txId }: Record<string, unknown>): Pick<RowChange, 'lsn' | 'commitMs' | 'txId'> | null {
  if (!isCount(commitMs) || !(isCount(lsn) || typeof lsn === 'bigint' || isAbsent(lsn)) || !(isCount(txId) || isAbsent(txId))) return null;
  // Incremental-snapshot reads carry no `lsn`; the last part of `sequence` is the LSN they were read at.
  const position = isAbsent(lsn) ? (typeof sequence === 'string' ? (sequence.match(/\d+/g)?.at(-1) ?? '0') : '0') : String(lsn);
  return { lsn: position, commitMs, txId: txId ?? null };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
