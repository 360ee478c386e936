/**
 * Rows with an open dead letter: they keep their last good image until the letter is dealt with, so neither they nor what they
 * add to counters and sets can be judged. Invariant: both sides leave out the same rows.
 */
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { parseObject } from './compare.ts';
import { sourceTables } from './source.ts';

/** What the parked rows of one moment hold, to be left out of what is found; their ids, to be left out of what is expected. */
export interface ParkedShare {
  ids: (table: string) => string[];
  /** By hash and field. */
  amount: (hash: string, field: string) => bigint;
  has: (set: string, member: string) => boolean;
}

const chunkRows = 500;
const markShape = /^-?\d+:(\d+):(\d+)$/;
const nameShape = /^cdc:parked:([^:]+):(.+)$/;
const nameOf = (table: string, id: string): string => `cdc:parked:${table}:${id}`;

export class Parked {
  readonly #redis: RedisStore;
  readonly #keys: Keys;
  /** Table → ids that had a mark when last seen. */
  readonly #known = new Map(sourceTables.map(({ table }) => [table, new Set<string>()]));
  /** Logical names of marks because of which a row was not compared. */
  readonly #left = new Set<string>();

  constructor({ redis, keys }: { redis: RedisStore; keys: Keys }) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Notes what a walk over all keys comes by, logical names; whether it was news. */
  note(name: string): boolean {
    const [, table = '', id = ''] = nameShape.exec(name) ?? [];
    const ids = this.#known.get(table);
    if (ids === undefined || ids.has(id)) return false;
    ids.add(id);
    return true;
  }

  /** Looks for marks that came up since the walk; whether there are any. */
  async findMore(): Promise<boolean> {
    let more = false;
    for await (const page of this.#redis.scan(`${this.#keys.prefix}cdc:parked:*`, 5_000)) {
      for (const key of page) more = this.note(key.slice(this.#keys.prefix.length)) || more;
    }
    return more;
  }

  /** Of rows that were just read: which must not be compared. `suspects` are asked whether they are parked by now. */
  async among(table: string, ids: string[], suspects: (id: string) => boolean): Promise<Set<string>> {
    const asked = ids.filter((id) => this.#known.get(table)?.has(id) || suspects(id));
    const parked = new Set(await this.#inForce(table, asked));
    for (const id of asked) this.#left.delete(nameOf(table, id));
    for (const id of parked) {
      this.note(nameOf(table, id));
      this.#left.add(nameOf(table, id));
    }
    return parked;
  }

  /** What is to be left out now. */
  async share(): Promise<ParkedShare> {
    const ids = new Map<string, string[]>();
    const amounts = new Map<string, bigint>();
    const members = new Set<string>();
    for (const { table, entity } of sourceTables) {
      const parked = await this.#inForce(table, [...(this.#known.get(table) ?? [])]);
      ids.set(table, parked);
      for (let from = 0; from < parked.length; from += chunkRows) {
        const rows = await this.#redis.strings(parked.slice(from, from + chunkRows).map((id) => this.#keys.row(entity, id)));
        for (const text of rows) if (text !== null) addRow(text, amounts, members);
      }
    }
    return {
      ids: (table) => ids.get(table) ?? [],
      amount: (hash, field) => amounts.get(JSON.stringify([hash, field])) ?? 0n,
      has: (set, member) => members.has(JSON.stringify([set, member])),
    };
  }

  /** Marks whose rows were not compared, also where a row exists on neither side: logical names, sorted. */
  async left(): Promise<string[]> {
    for (const { table } of sourceTables) {
      for (const id of await this.#inForce(table, [...(this.#known.get(table) ?? [])])) this.#left.add(nameOf(table, id));
    }
    return [...this.#left].sort();
  }

  /**
   * Those that are parked now. A mark of another generation is about a row that was read again since, and a row that has moved
   * past the last dead letter needs it no more.
   */
  async #inForce(table: string, ids: string[]): Promise<string[]> {
    const parked: string[] = [];
    const entity = sourceTables.find((one) => one.table === table)?.entity ?? '';
    for (let from = 0; from < ids.length; from += chunkRows) {
      const some = ids.slice(from, from + chunkRows);
      const [state = null, ...marks] = await this.#redis.strings([this.#keys.tableState(table), ...some.map((id) => this.#keys.parkedMark(table, id))]);
      const generation = Number((state === null ? null : parseObject(state))?.['generation'] ?? 0);
      const letters = new Map(some.flatMap((id, at) => lastLetter(id, marks[at] ?? '', generation)));
      const rows = await this.#redis.strings([...letters.keys()].map((id) => this.#keys.row(entity, id)));
      parked.push(...[...letters].filter(([, letter], at) => !isNewer(rows[at] ?? null, generation, letter)).map(([id]) => id));
    }
    return parked;
  }
}

function lastLetter(id: string, mark: string, generation: number): [id: string, offset: bigint][] {
  const [, last, of] = markShape.exec(mark) ?? [];
  return last !== undefined && of === String(generation) ? [[id, BigInt(last)]] : [];
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
