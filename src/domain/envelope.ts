/**
 * Debezium's change envelope, taken apart no further than an event needs: the image of the row is cut out as the text it is,
 * because that text goes into the replica. Invariant: whatever the way, the parts are those of the whole JSON.
 */
import { parseJson, stringifyJson } from './json.ts';

export interface Envelope {
  op: string;
  table: unknown;
  /** JSON text of the image before; null when there is none. Nobody has looked whether it is one. */
  before: string | null;
  after: Image | null;
  position: Position | null;
}

/** A row as it was sent. In `row`, integers beyond 2^53 may have lost digits; in `text` none has. */
export interface Image {
  text: string;
  row: Record<string, unknown>;
}

/** Where a change stood in the source. Provenance, never order. */
export interface Position {
  lsn: string;
  commitMs: number;
  /** 32-bit transaction id; null on snapshot reads. */
  txId: number | null;
}

const sourceStart = ',"source":{"version":';
const firstImage = '{"before":'.length;
const afterStart = ',"after":';
/** What follows the images, member by member as the PostgreSQL connector writes them. */
const tail = new RegExp(
  [
    String.raw`,"source":\{"version":"[^"\\]*","connector":"postgresql","name":"[^"\\]*","ts_ms":(\d{1,15}),"snapshot":(?:null|"\w*"),"db":"[^"\\]*"`,
    String.raw`,"sequence":"\[(?:null|\\"\d+\\"),\\"(\d+)\\"\]","ts_us":\d+,"ts_ns":\d+,"schema":"[^"\\]*","table":"([^"\\]*)","txId":(\d{1,15}|null)`,
    String.raw`,"lsn":(\d+|null),"xmin":(?:\d+|null)(?:,"origin":(?:null|"[^"\\]*"),"origin_lsn":(?:null|\d+))?\},"transaction":null`,
    String.raw`,"op":"([crud])","ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+\}$`,
  ].join(''),
  'y',
);

/** Null when the text is JSON but no envelope. Throws SyntaxError when it is not JSON. */
export const readEnvelope = (text: string): Envelope | null => cutEnvelope(text) ?? parseEnvelope(text);

/**
 * Cuts at the seams; null when the text is not of the usual shape. Sound, because what is found is a seam: within a string each
 * quote has a backslash before it, and within a nested object the image would end in one brace too many and not parse.
 */
export function cutEnvelope(text: string): Envelope | null {
  const source = text.lastIndexOf(sourceStart);
  if (source === -1 || !text.startsWith('{"before":')) return null;
  tail.lastIndex = source;
  const parts = tail.exec(text);
  if (parts === null) return null;
  const after = text.startsWith('null,"after":', firstImage) ? firstImage + 'null'.length : text.lastIndexOf(afterStart, source - 1);
  if (after === -1) return null;
  const image = cutImage(text.slice(after + afterStart.length, source));
  if (image === undefined) return null;
  const [, commitMs, readAt, table, txId, lsn, op] = parts;
  const before = after === firstImage + 'null'.length ? null : text.slice(firstImage, after);
  return { op: op!, table, before, after: image, position: { lsn: lsn === 'null' ? readAt! : lsn!, commitMs: Number(commitMs), txId: txId === 'null' ? null : Number(txId) } };
}

function cutImage(text: string): Image | null | undefined {
  if (text === 'null') return null;
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined;
  try {
    return { text, row: JSON.parse(text) as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

/** The clocks beside the image are in nanoseconds, beyond 2^53: only the image that is kept is parsed exactly. */
function parseEnvelope(text: string): Envelope | null {
  const value = parseJson(text, (envelope) => (isObject(envelope) ? envelope['after'] : null));
  if (!isObject(value) || !isObject(value['source'])) return null;
  const { op, source, before, after } = value;
  return {
    op: String(op),
    table: source['table'],
    before: isObject(before) ? stringifyJson(before) : null,
    after: isObject(after) ? { text: stringifyJson(after), row: after } : null,
    position: readPosition(source),
  };
}

/** Null when a part is there but is not what it should be. */
function readPosition({ lsn, sequence, ts_ms: commitMs, txId }: Record<string, unknown>): Position | null {
  if (!isCount(commitMs) || !(isCount(lsn) || typeof lsn === 'bigint' || isAbsent(lsn)) || !(isCount(txId) || isAbsent(txId))) return null;
  // Incremental-snapshot reads carry no `lsn`; the last part of `sequence` is the LSN they were read at.
  const position = isAbsent(lsn) ? (typeof sequence === 'string' ? (sequence.match(/\d+/g)?.at(-1) ?? '0') : '0') : String(lsn);
  return { lsn: position, commitMs, txId: txId ?? null };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
