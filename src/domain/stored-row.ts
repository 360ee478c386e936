/**
 * A replica row as text: the source's columns, then the engine's members, which begin with `_`.
 * Invariant: `_c` and `_s` are exactly what the row has added to counters and sorted sets, so it can always be taken back.
 */
import type { Contributions } from './tables/table.ts';
import type { RowChange } from './change-event.ts';
import type { Row } from './columns.ts';
import { parseJson, stringifyJson } from './json.ts';

/** Where a row's last applied event stands. A re-created topic raises the generation before its re-snapshot. */
export interface Version {
  generation: number;
  offset: bigint;
}

/** What the engine keeps beside a row's columns. */
interface EngineMembers {
  _offset: number;
  _gen: number;
  /** Provenance: LSN and commit time of the last applied event. */
  _lsn: string;
  _ts_ms: number;
  _c: Contributions['counters'];
  _s: Contributions['members'];
}

export interface StoredRow {
  version: Version;
  /** LSN of the last applied event, decimal text. */
  lsn: string;
  /** Its columns, and the engine's members among them. */
  row: Row;
  contributions: Contributions;
}

/** Throws SyntaxError when the text is not a row this engine wrote. */
export function parseStoredRow(text: string): StoredRow {
  const row = parseJson(text) as Partial<EngineMembers> | null;
  if (typeof row?._offset !== 'number' || !Array.isArray(row._c) || !Array.isArray(row._s)) throw new SyntaxError('not a row of this engine');
  return { version: { generation: row._gen ?? 0, offset: BigInt(row._offset) }, lsn: row._lsn ?? '0', row: row as Row, contributions: { counters: row._c, members: row._s } };
}

/** Text of the row after `change`: its columns, then the engine's members. */
export function formatStoredRow(change: RowChange, generation: number): string {
  const { image, contributions } = change;
  const lossless = hasBigInt(image) || contributions.counters.some(([, , amount]) => typeof amount === 'bigint');
  const members: EngineMembers = {
    _offset: Number(change.offset),
    _gen: generation,
    _lsn: change.lsn,
    _ts_ms: change.commitMs,
    _c: contributions.counters,
    _s: contributions.members,
  };
  return stringifyJson({ ...image, ...members }, lossless);
}

/** Whether `a` is newer than `b`: by generation, then by offset; never by LSN or clock. */
export const isNewer = (a: Version, b: Version): boolean =>
  a.generation > b.generation || (a.generation === b.generation && a.offset > b.offset);

function hasBigInt(value: unknown): boolean {
  if (typeof value === 'bigint') return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasBigInt);
}
