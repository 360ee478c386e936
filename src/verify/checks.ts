/**
 * The kinds of things that are compared one by one: the rows of each table, each customer's set of orders, each product's counters.
 * A check reads the replica first and the source after it: a source that has not changed since then was what it must equal.
 */
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { names } from '../domain/keys.ts';
import { absent, compareAmounts, compareRow, compareSet, ofType, type AmountDifference, type RowDifference, type SetDifference } from './compare.ts';
import type { Parked, ParkedShare } from './parked.ts';
import type { PipelineDeps } from './pipeline.ts';
import { readTyped } from './read-typed.ts';
import { readColumns, readCustomerOrders, readProductCounters, readRows, type Counter, type SourceColumn, type SourceTable } from './source.ts';

export interface Reading<D> {
  /** Changes whenever the source's side changes. */
  version: string;
  differences: D[];
}

export interface Check<D> {
  /** Whose ids to compare. */
  table: string;
  /** Ids compared at once: what is read for them must fit into memory a few times. */
  pageRows: number;
  /** Ids that are not to be compared are left out of the answer. `parked`: what is to be left out besides. */
  read: (ids: string[], source: Queryable, parked: ParkedShare) => Promise<Map<string, Reading<D>>>;
}

export async function createRowCheck({ db, redis, keys }: PipelineDeps, { table, entity }: SourceTable, parked: Parked): Promise<Check<RowDifference>> {
  const columns: SourceColumn[] = await readColumns(db, table);
  return {
    table,
    pageRows: 2000,
    read: async (ids, from) => {
      const found = await readTexts(redis, ids.map((id) => keys.row(entity, id)));
      const rows = new Map((await readRows(from, table, columns, ids)).map((row) => [row.id, row]));
      const readings = new Map<string, Reading<RowDifference>>();
      for (const [at, id] of ids.entries()) {
        const row = rows.get(id);
        const differences = compareRow(`${entity}:${id}`, columns, row?.json ?? null, found[at] ?? null);
        readings.set(id, { version: row?.version ?? '', differences });
      }
      for (const id of await parked.among(table, ids, (one) => readings.get(one)?.differences.length !== 0)) readings.delete(id);
      return readings;
    },
  };
}

/** Texts of rows; in the place of one that is no string, its type. */
async function readTexts(redis: RedisStore, keys: string[]): Promise<(string | null)[]> {
  const texts = await redis.strings(keys);
  const missing = keys.filter((_, at) => texts[at] === null);
  const types = await redis.types(missing);
  const others = new Map(missing.flatMap((key, at) => (types[at] && !['none', 'string'].includes(types[at]) ? [[key, ofType(types[at])]] : [])));
  return keys.map((key, at) => texts[at] ?? others.get(key) ?? null);
}

export function createSetCheck({ redis, keys }: PipelineDeps): Check<SetDifference> {
  return {
    table: 'customers',
    pageRows: 200, // each with any number of orders
    read: async (ids, source, parked) => {
      const found = await readTyped(redis, 'zset', ids.map((id) => keys.of(names.customerOrders(id))), redis.sortedSets);
      const expected = await readCustomerOrders(source, ids, parked.ids('orders'));
      return new Map(
        ids.map((id, at) => {
          const set = names.customerOrders(id);
          const members = expected.get(id) ?? new Map<string, string>();
          const differences = compareSet(set, members, found[at] ?? []).filter(({ member, expected: wanted }) => wanted !== absent || !parked.has(set, member));
          return [id, { version: JSON.stringify([...members]), differences }];
        }),
      );
    },
  };
}

export function createProductCheck({ redis, keys }: PipelineDeps): Check<AmountDifference> {
  return {
    table: 'products',
    pageRows: 2000,
    read: async (ids, source, parked) => {
      const found = await readTyped(redis, 'hash', ids.map((id) => keys.of(names.product(id))), redis.hashes);
      const expected = new Map<string, Counter[]>(ids.map((id) => [id, []]));
      for (const { product, ...counter } of await readProductCounters(source, ids, parked.ids('order_items'))) {
        expected.get(product)?.push({ hash: names.product(product), ...counter });
      }
      return new Map(
        ids.map((id, at) => {
          const counters = expected.get(id) ?? [];
          const { differences } = compareAmounts(counters, new Map([[names.product(id), found[at] ?? {}]]), parked.amount);
          return [id, { version: JSON.stringify(counters), differences }];
        }),
      );
    },
  };
}
