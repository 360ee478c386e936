/**
 * One Kafka record of a change topic → one decoded event, or the reason why it can never be applied.
 * Pure and total: any bytes give an answer, nothing throws.
 */
import { fitsInt64 } from './amount.ts';
import { ColumnError, convertColumn, type ColumnType, type Row } from './columns.ts';
import { isObject, readEnvelope, type Envelope, type Image } from './envelope.ts';
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

/** A row change. LSN and commit time are provenance, never order. */
export interface RowChange {
  kind: 'change';
  /** Of the record; on a replay, of the record that it repeats. */
  offset: bigint;
  replay?: Replay;
  op: RowOperation;
  id: string;
  /** JSON text of the row as the replica has it; null after a delete. */
  image: string | null;
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

export type RejectReason = 'malformed_json' | 'malformed_key' | 'malformed_envelope' | 'bad_column' | 'number_range' | 'unsupported_operation' | 'sum_range' | 'unavailable_value' | 'malformed_alert' | 'refused_alert';
export type TableEvent = RowChange | Truncate | Tombstone | Rejected;

const nothing: Contributions = { counters: [], members: [] };
const noColumns: string[] = [];

/** Decodes a record of `table`'s topic. `withChanged`: which columns an update has changed is worth the comparison. */
export function decodeTableEvent(table: Table, record: SourceRecord, withChanged = true): TableEvent {
  const id = decodeKey(record.key);
  const replay = record.headers === undefined ? null : parseReplay(record.headers);
  const offset = replay === null || replay === 'malformed' ? record.offset : replay.of;
  const rejected = (reason: RejectReason, detail: string, op: Operation | null = null): Rejected => ({
    kind: 'rejected',
    offset,
    ...(replay !== null && replay !== 'malformed' && { replay }),
    op,
    reason,
    detail,
    id,
  });

  if (replay === 'malformed') return rejected('malformed_envelope', 'its replay headers cannot be read');
  if (record.value === null) return id === null ? rejected('malformed_key', 'a tombstone without a readable key') : { kind: 'tombstone', offset: record.offset };
  let envelope: Envelope | null;
  try {
    envelope = readEnvelope(record.value.toString('utf8'));
  } catch {
    return rejected('malformed_json', 'the value is not JSON');
  }
  if (envelope === null) return rejected('malformed_envelope', 'not a Debezium change envelope');
  const { op, after, position } = envelope;
  if (!isOperation(op)) return rejected('unsupported_operation', 'unknown op');
  if (envelope.table !== table.name) return rejected('malformed_envelope', 'source.table is another table', op);
  if (position === null) return rejected('malformed_envelope', 'source has no readable position', op);
  const { lsn, commitMs, txId } = position;
  if (op === 't') return replay ? rejected('unsupported_operation', 'a TRUNCATE cannot be replayed', op) : { kind: 'truncate', offset, op, lsn, commitMs, txId };
  if (id === null) return rejected('malformed_key', 'the key is not {"id": integer}', op);
  if (after === null && op !== 'd') return rejected('malformed_envelope', `op ${op} without after`, op);

  try {
    const { image, contributions, unavailable, foreign } = op === 'd' ? noRow : decodeRow(table, id, after!);
    if (contributions.counters.some(([, , amount]) => !fitsInt64(amount))) return rejected('number_range', 'a contribution leaves int64', op);
    const changed = op === 'u' && withChanged ? changedColumns(envelope.before, after!) : noColumns;
    const change: RowChange = { kind: 'change', offset, op, id, image, contributions, unavailable, foreign, changed, lsn, commitMs, txId };
    if (replay) change.replay = replay;
    return change;
  } catch (error) {
    if (error instanceof ColumnError) return rejected('bad_column', error.message, op);
    if (error instanceof RangeError) return rejected('malformed_envelope', 'it is nested too deeply', op); // the stack has an end
    throw error;
  }
}

const isOperation = (op: string): op is Operation => op === 'c' || op === 'u' || op === 'd' || op === 'r' || op === 't';

/** The heartbeat row and its provenance, as stored under `cdc:heartbeat`; null when the record is none. */
export function decodeHeartbeat(record: SourceRecord): { txId: number | null; json: string } | null {
  if (record.value === null) return null;
  try {
    const { after, position } = readEnvelope(record.value.toString('utf8')) ?? {};
    if (!after || !position) return null;
    const { lsn, commitMs, txId } = position;
    return { txId, json: JSON.stringify({ ...after.row, _offset: Number(record.offset), _lsn: lsn, _ts_ms: commitMs }) };
  } catch {
    return null;
  }
}

const keyStart = Buffer.from('{"id":');
const idDigitsMax = 15;

/** The primary key as decimal text; null when it is not {"id": integer}. */
export function decodeKey(key: Buffer | null): string | null {
  return key === null ? null : (plainId(key) ?? parseKey(key));
}

/** Nearly every key: a positive integer without leading zeros, read byte by byte. */
function plainId(key: Buffer): string | null {
  const end = key.length - 1;
  if (end <= keyStart.length || end > keyStart.length + idDigitsMax || key[end] !== 0x7d || key[keyStart.length] === 0x30) return null;
  for (let i = 0; i < keyStart.length; i += 1) if (key[i] !== keyStart[i]) return null;
  let id = 0;
  for (let i = keyStart.length; i < end; i += 1) {
    const digit = key[i]! - 0x30;
    if (digit < 0 || digit > 9) return null;
    id = id * 10 + digit;
  }
  return String(id);
}

function parseKey(key: Buffer): string | null {
  try {
    const parsed = parseJson(key.toString('utf8'));
    const id = isObject(parsed) ? parsed['id'] : undefined;
    return Number.isInteger(id) || typeof id === 'bigint' ? String(id) : null;
  } catch {
    return null;
  }
}

type DecodedRow = Pick<RowChange, 'image' | 'contributions' | 'unavailable' | 'foreign'>;

const noRow: DecodedRow = { image: null, contributions: nothing, unavailable: noColumns, foreign: false };

/** PostgreSQL's names are no longer; those of others are cut, since a dead letter's header takes them along. */
const nameMost = 63;

/** The image is the text that was sent, written anew only where a value is another in the replica. */
function decodeRow(table: Table, id: string, sent: Image): DecodedRow {
  let { text: image, row } = sent;
  let unavailable = noColumns;
  let foreign = false;
  let isAsSent = true;
  for (const name in row) {
    const value = row[name];
    const type = typeOf(table, name);
    if (type === undefined && name.startsWith('_')) throw new ColumnError(`column ${name.slice(0, nameMost)} begins with _, which is the engine's`);
    foreign ||= type === undefined;
    if (isUnavailable(value)) unavailable = [...unavailable, name];
    else if (isExact(value) && (type === undefined || convertColumn(name, type, value) === value)) continue;
    isAsSent = false;
  }
  if (!isAsSent) {
    row = convertRow(table, parseJson(image) as Record<string, unknown>, unavailable);
    image = stringifyJson(row);
  }
  for (const name in table.columns) if (row[name] === undefined) throw new ColumnError(`column ${name} is missing`);
  if (row['id'] !== Number(id) && String(row['id']) !== id) throw new ColumnError('column id is not the record key');
  return { image, contributions: unavailable.length > 0 ? nothing : table.contributions(row as Row), unavailable, foreign };
}

const typeOf = ({ columns }: Table, name: string): ColumnType | undefined => (Object.hasOwn(columns, name) ? columns[name] : undefined);

/** Whether a value out of JSON.parse is the one that was written; what is nested is not looked at, it stays text. */
const isExact = (value: unknown): boolean => typeof value !== 'number' || Number.isSafeInteger(value) || (!Number.isInteger(value) && Number.isFinite(value));

function convertRow(table: Table, row: Record<string, unknown>, unavailable: string[]): Record<string, unknown> {
  for (const name in row) {
    const type = typeOf(table, name);
    if (unavailable.includes(name)) row[name] = null;
    else if (type !== undefined) row[name] = convertColumn(name, type, row[name]);
  }
  return row;
}

function changedColumns(beforeText: string | null, { row: after }: Image): string[] {
  const before = beforeText === null ? null : parseImage(beforeText);
  if (before === null) return noColumns;
  return Object.keys(after).filter((name) => before[name] !== after[name] && stringifyJson(before[name]) !== stringifyJson(after[name]));
}

function parseImage(text: string): Record<string, unknown> | null {
  try {
    const image: unknown = JSON.parse(text);
    return isObject(image) ? image : null;
  } catch {
    return null;
  }
}
