/**
 * Removes the rows of a table that nothing else will remove, with all they contributed, chunk by chunk.
 * Invariant: each chunk is one commit that is refused when a row of it or the table's state has changed since it was read,
 * and raises the state, so that batches in flight read again. So any process may sweep, twice or half, at any time.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { removeRows, type WritePlan } from '../domain/fold.ts';
import type { Keys } from '../domain/keys.ts';
import { parseMark, type ParkedMark } from '../domain/parked.ts';
import { parseStoredRow, type StoredRow } from '../domain/stored-row.ts';
import { formatTableState, parseTableState } from '../domain/table-state.ts';
import type { Table } from '../domain/tables/table.ts';
import type { Upkeep } from '../domain/upkeep.ts';
import { decodeReply, encodeCommit } from './commit.ts';

export interface Sweep {
  redis: RedisStore;
  keys: Keys;
  table: Pick<Table, 'name' | 'entity'>;
  isStale: (row: StoredRow) => boolean;
  /** The table's generation, when it matters: in a Redis that has forgotten it, rows of an older one are not stale. */
  atLeast?: number;
  /** Whether the row stays all the same: events of its key wait as dead letters. */
  isSpared?: (mark: ParkedMark) => boolean;
  /** Takes out of a plan what must not be taken back any more, and says how the rest is looked after. */
  tend?: (plan: WritePlan) => Upkeep;
  /** Hears the totals after every page of keys. */
  onProgress?: (counts: SweepCounts) => void;
  signal?: AbortSignal;
}

export interface SweepCounts {
  /** Rows looked at; a row may be looked at twice. */
  scanned: number;
  swept: number;
}

/** Redis was emptied or went back: what is to be swept is not what was looked for. */
export class GenerationLost extends Error {
  override name = 'GenerationLost';
}

const pageKeys = 2000;
/** Of one commit; the rows of a chunk travel to us and back as what is expected. */
const chunkMost = { rows: 500, bytes: 4 * 1024 * 1024 };
const firstChunkRows = 32;

/** Resolves when every row that was there at the call has been looked at. Rejects with the signal's reason, or GenerationLost. */
export async function sweepTable(sweep: Sweep): Promise<SweepCounts> {
  const { redis, keys, table, onProgress, signal } = sweep;
  const counts: SweepCounts = { scanned: 0, swept: 0 };
  const prefix = keys.row(table.entity, '');
  let rows = firstChunkRows;
  for await (const page of redis.scan(`${prefix}*`, pageKeys)) {
    const ids = page.map((key) => key.slice(prefix.length)).filter((id) => !id.includes(':'));
    for (let from = 0; from < ids.length; ) {
      signal?.throwIfAborted();
      const chunk = ids.slice(from, from + rows);
      const { swept, bytes } = await sweepChunk(sweep, chunk);
      counts.swept += swept;
      from += chunk.length;
      rows = Math.max(1, Math.min(chunkMost.rows, Math.floor((chunkMost.bytes * chunk.length) / Math.max(1, bytes)))); // as large as these were the next may be
    }
    counts.scanned += ids.length;
    onProgress?.(counts);
  }
  return counts;
}

/** Bytes: of all rows that were read, in characters. */
async function sweepChunk({ redis, keys, table, isStale, atLeast = 0, isSpared, tend }: Sweep, ids: string[]): Promise<{ swept: number; bytes: number }> {
  const state = keys.tableState(table.name);
  for (;;) {
    const [stateText = null, ...texts] = await redis.strings([state, ...ids.map((id) => keys.row(table.entity, id))]);
    const read = parseTableState(stateText);
    if (read.generation < atLeast) throw new GenerationLost(`${table.name} is of generation ${read.generation}, ${atLeast} was begun`);
    const older = ids.flatMap((id, i) => {
      const text = texts[i] ?? null;
      const row = text === null ? null : readRow(text);
      return row !== null && isStale(row) ? [{ id, row, text: text! }] : [];
    });
    const bytes = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    const marks = isSpared ? await redis.strings(older.map(({ id }) => keys.parkedMark(table.name, id))) : [];
    const stale = older.map((one, i) => ({ ...one, mark: marks[i] ?? '' })).filter(({ mark }) => {
      const parsed = parseMark(mark);
      return parsed === null || !isSpared?.(parsed);
    });
    if (stale.length === 0) return { swept: 0, bytes };
    const asExpected = ({ id, text, mark }: (typeof stale)[number]): [string, string][] => [[keys.row(table.entity, id), text], ...(isSpared ? [[keys.parkedMark(table.name, id), mark] as [string, string]] : [])];
    const rows = new Map(stale.map(({ id, row }) => [`${table.entity}:${id}`, row]));
    const writes = removeRows(rows);
    const upkeep = tend?.(writes);
    const script = encodeCommit(keys, {
      expect: { fields: [], strings: [[state, stateText ?? ''], ...stale.flatMap(asExpected)] },
      plan: { writes, table: table.name, changesMax: 0 },
      strings: [[state, formatTableState({ ...read, sweeps: read.sweeps + 1 })]],
      ...(upkeep && { upkeep }),
    });
    const reply = decodeReply(await redis.commit(script.keys, script.args));
    if (reply.result === 'applied') return { swept: stale.length, bytes };
    if (reply.result === 'overflow') throw new RangeError(`${reply.counter} would leave int64 when rows are taken back`);
  }
}

/** What somebody else has written below our keys has added nothing, and goes. */
function readRow(text: string): StoredRow {
  try {
    return parseStoredRow(text);
  } catch {
    return { version: { generation: -1, offset: 0n }, lsn: '0', contributions: { counters: [], members: [] }, text };
  }
}
