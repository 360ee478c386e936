/**
 * A replica row as text: the source's columns, then the engine's members, which begin with `_`.
 * Invariant: `_c` and `_s` are exactly what the row has added to counters and sorted sets, so it can always be taken back.
 */
import type { Contributions } from './tables/table.ts';
import type { RowChange } from './change-event.ts';
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
  const members = parseMembers(at === -1 ? text : `{${text.slice(at + 1)}`);
  if (typeof members?._offset !== 'number' || !Array.isArray(members._c) || !Array.isArray(members._s)) throw new SyntaxError('not a row of this engine');
  return {
    version: { generation: members._gen ?? 0, offset: BigInt(members._offset) },
    lsn: members._lsn ?? '0',
    contributions: { counters: members._c, members: members._s },
    text,
  };
}

/** Only amounts can be larger than a number holds exactly. */
function parseMembers(text: string): Partial<EngineMembers> | null {
  const members = JSON.parse(text) as Partial<EngineMembers> | null;
  const isExact = !Array.isArray(members?._c) || members._c.every(([, , amount]) => Number.isSafeInteger(amount));
  return isExact ? members : (parseJson(text) as EngineMembers);
}

/** Text of the row `image` (JSON, no engine's members) after `change`: its columns, then the engine's members. */
export function formatStoredRow({ offset, lsn, commitMs, contributions }: RowChange, image: string, generation: number): string {
  const added = stringifyJson({ _c: contributions.counters, _s: contributions.members }).slice(1);
  return `${image.slice(0, -1)}${membersStart}${offset},"_gen":${generation},"_lsn":"${lsn}","_ts_ms":${commitMs},${added}`;
}

/** Whether `a` is newer than `b`: by generation, then by offset; never by LSN or clock. */
export const isNewer = (a: Version, b: Version): boolean =>
  a.generation > b.generation || (a.generation === b.generation && a.offset > b.offset);
