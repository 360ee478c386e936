/**
 * Rows with an open dead letter: they keep their last good image until the letter is dealt with, so neither they nor what they
 * add to counters and sets can be judged. Invariant: both sides leave out the same rows.
 */
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { parseTableState } from '../domain/table-state.ts';
import { parseObject } from './compare.ts';
import { sourceTables } from './source.ts';

/** What the parked rows of one moment hold, to be left out of what is found; their ids, to be left out of what is expected. */
export interface ParkedShare {
  ids: (table: string) => string[];
  /** By hash and field. */
  amount: (hash: string, field: string) => bigint;
  has: (set: string, member: string) => boolean;
}

export type Parked = ReturnType<typeof createParked>;

const chunkRows = 500;
/** `<floor>:<last>:<generation>`: `last` is the newest dead letter. */
const markShape = /^-?\d+:(\d+):(\d+)$/;

export function createParked({ redis, keys }: { redis: RedisStore; keys: Keys }) {
  /** Table → ids with a mark when last seen. */
  const known = new Map(sourceTables.map(({ table }) => [table, new Set<string>()]));
  const left = new Set<string>();
  const shape = /^cdc:parked:([^:]+):(.+)$/;

  /**
   * Those of the ids that are parked now. A mark of another generation is about rows that were read again since; one whose
   * letters are all older than what was applied to the row since is a remainder. A delete takes the mark away.
   */
  const inForce = async (table: string, ids: string[]): Promise<string[]> => {
    if (ids.length === 0) return [];
    const entity = sourceTables.find((one) => one.table === table)?.entity ?? table;
    const [state = null, ...texts] = await redis.strings([keys.tableState(table), ...ids.map((id) => keys.parked(table, id)), ...ids.map((id) => keys.row(entity, id))]);
    const { generation } = parseTableState(state);
    return ids.filter((_, at) => {
      const [, last, markGeneration] = markShape.exec(texts[at] ?? '') ?? [];
      return last !== undefined && markGeneration === String(generation) && !isNewer(texts[ids.length + at] ?? null, generation, BigInt(last));
    });
  };

  const note = (name: string): boolean => {
    const [, table = '', id = ''] = shape.exec(name) ?? [];
    const ids = known.get(table);
    if (ids === undefined || ids.has(id)) return false;
    ids.add(id);
    return true;
  };

  return {
    /** Notes what a walk over all keys comes by: logical names. */
    note,
    /** Looks for marks that came up since the walk; whether there are any. */
    findMore: async (): Promise<boolean> => {
      let more = false;
      for await (const page of redis.scan(`${keys.prefix}cdc:parked:*`, 5_000)) {
        for (const key of page) more = note(key.slice(keys.prefix.length)) || more;
      }
      return more;
    },
    /** Of rows that were just read: which must not be compared. `suspects` are asked whether they are parked by now. */
    among: async (table: string, ids: string[], suspects: (id: string) => boolean): Promise<Set<string>> => {
      const asked = ids.filter((id) => known.get(table)?.has(id) || suspects(id));
      const parked = new Set(await inForce(table, asked));
      for (const id of asked) {
        if (parked.has(id)) note(`cdc:parked:${table}:${id}`);
        left[parked.has(id) ? 'add' : 'delete'](`cdc:parked:${table}:${id}`);
      }
      return parked;
    },
    /** What is to be left out now. */
    share: async (): Promise<ParkedShare> => {
      const ids = new Map<string, string[]>();
      const amounts = new Map<string, bigint>();
      const members = new Set<string>();
      for (const { table, entity } of sourceTables) {
        const parked = await inForce(table, [...(known.get(table) ?? [])]);
        ids.set(table, parked);
        for (let from = 0; from < parked.length; from += chunkRows) {
          const rows = await redis.strings(parked.slice(from, from + chunkRows).map((id) => keys.row(entity, id)));
          for (const text of rows) if (text !== null) addRow(text, amounts, members);
        }
      }
      return {
        ids: (table) => ids.get(table) ?? [],
        amount: (hash, field) => amounts.get(JSON.stringify([hash, field])) ?? 0n,
        has: (set, member) => members.has(JSON.stringify([set, member])),
      };
    },
    /** Marks whose rows were not compared, and those whose rows exist nowhere: logical names. */
    left: async (): Promise<string[]> => {
      for (const { table } of sourceTables) {
        for (const id of await inForce(table, [...(known.get(table) ?? [])])) left.add(`cdc:parked:${table}:${id}`);
      }
      return [...left].sort();
    },
  };
}

/** A row remembers what it has added: `_c` to counters, `_s` to sets. */
function addRow(text: string, amounts: Map<string, bigint>, members: Set<string>): void {
  const { _c: counters, _s: sets } = parseObject(text) ?? {};
  for (const [hash, field, amount] of entriesOf(counters)) {
    const name = JSON.stringify([hash, field]);
    if (/^-?\d+$/.test(String(amount))) amounts.set(name, (amounts.get(name) ?? 0n) + BigInt(String(amount)));
  }
  for (const [set, member] of entriesOf(sets)) members.add(JSON.stringify([set, member]));
}

/** Whether what was applied last to the row came after the dead letter. */
function isNewer(row: string | null, generation: number, letter: bigint): boolean {
  const { _offset: offset, _gen: rowGeneration = 0 } = row === null ? {} : (parseObject(row) ?? {});
  return (typeof offset === 'number' || typeof offset === 'bigint') && rowGeneration === generation && offset > letter;
}

const entriesOf = (list: unknown): unknown[][] => (Array.isArray(list) ? list.filter(Array.isArray) : []);
