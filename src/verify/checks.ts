/**
 * The kinds of things that are compared one by one: the rows of each table, and each customer's set of orders.
 * A check reads the replica first and the source after it: a source that has not changed since then was what it must equal.
 */
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { names, type Keys } from '../domain/keys.ts';
import { compareRow, compareSet, isParked, ofType, type RowDifference, type SetDifference } from './compare.ts';
import type { PipelineDeps } from './pipeline.ts';
import { readTyped } from './read-typed.ts';
import { readColumns, readCustomerOrders, readRows, type SourceColumn, type SourceTable } from './source.ts';

export interface Reading<D> {
  /** Changes whenever the source's side changes. */
  version: string;
  differences: D[];
}

export interface Check<D> {
  /** Whose ids to compare. */
  table: string;
  /** Ids that are not to be compared are left out of the answer. */
  read: (ids: string[], source: Queryable) => Promise<Map<string, Reading<D>>>;
}

/**
 * A row that is parked (its key has an open dead letter) is not compared until a newer image has been applied to it.
 * `parked`: keys with an open dead letter, logical names; kept to those whose rows were not compared.
 */
export async function createRowCheck({ db, redis, keys }: PipelineDeps, { table, entity }: SourceTable, parked: Set<string>): Promise<Check<RowDifference>> {
  const columns: SourceColumn[] = await readColumns(db, table);
  const parkedName = (id: string): string => keys.parked(table, id).slice(keys.prefix.length);
  return {
    table,
    read: async (ids, from) => {
      const found = await readTexts(redis, ids.map((id) => keys.row(entity, id)));
      const rows = new Map((await readRows(from, table, columns, ids)).map((row) => [row.id, row]));
      const readings = new Map<string, Reading<RowDifference>>();
      for (const [at, id] of ids.entries()) {
        const row = rows.get(id);
        const differences = compareRow(`${entity}:${id}`, columns, row?.json ?? null, found[at] ?? null);
        readings.set(id, { version: row?.version ?? '', differences });
      }
      const asked = [...ids.entries()].filter(([, id]) => parked.has(parkedName(id)) || readings.get(id)?.differences.length !== 0);
      const offsets = await redis.strings(asked.map(([, id]) => keys.parked(table, id)));
      for (const [i, [at, id]] of asked.entries()) {
        if (!isParked(found[at] ?? null, offsets[i] ?? null)) {
          parked.delete(parkedName(id));
          continue;
        }
        parked.add(parkedName(id));
        readings.delete(id);
      }
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

export function createSetCheck(redis: RedisStore, keys: Keys): Check<SetDifference> {
  return {
    table: 'customers',
    read: async (ids, source) => {
      const found = await readTyped(redis, 'zset', ids.map((id) => keys.of(names.customerOrders(id))), redis.sortedSets);
      const expected = await readCustomerOrders(source, ids);
      return new Map(
        ids.map((id, at) => {
          const members = expected.get(id) ?? new Map<string, string>();
          const differences = compareSet(names.customerOrders(id), members, found[at] ?? []);
          return [id, { version: JSON.stringify([...members]), differences }];
        }),
      );
    },
  };
}
