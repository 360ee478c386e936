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
  contributions: Contributions;
  /** All of it, as stored. */
  text: string;
}

/** The engine's members come last, and a quote inside a JSON string is escaped: what begins here is not part of any column. */
const membersStart = ',"_offset":';

/** Throws SyntaxError when the text is not a row this engine wrote. */
export function parseStoredRow(text: string): StoredRow {
  const at = text.lastIndexOf(membersStart);
  const members = parseJson(at === -1 ? text : `{${text.slice(at + 1)}`) as Partial<EngineMembers> | null;
  if (typeof members?._offset !== 'number' || !Array.isArray(members._c) || !Array.isArray(members._s)) throw new SyntaxError('not a row of this engine');
  return {
    version: { generation: members._gen ?? 0, offset: BigInt(members._offset) },
    lsn: members._lsn ?? '0',
    contributions: { counters: members._c, members: members._s },
    text,
  };
}

/** The columns of a stored row, the engine's members among them. */
export const columnsOf = ({ text }: StoredRow): Row => parseJson(text) as Row;

/** Text of the row `image` after `change`: its columns, then the engine's members. */
export function formatStoredRow({ offset, lsn, commitMs, contributions }: RowChange, image: Row, generation: number): string {
  const columns = stringifyJson(image).slice(0, -1);
  const { counters, members } = contributions;
  return `${columns}${membersStart}${offset},"_gen":${generation},"_lsn":"${lsn}","_ts_ms":${commitMs},"_c":${stringifyJson(counters)},"_s":${stringifyJson(members)}}`;
}

/** Whether `a` is newer than `b`: by generation, then by offset; never by LSN or clock. */
export const isNewer = (a: Version, b: Version): boolean =>
  a.generation > b.generation || (a.generation === b.generation && a.offset > b.offset);
