/**
 * The kinds of things that are compared one by one: the rows of each table, and each customer's set of orders.
 * A check reads the replica first and the source after it: a source that has not changed since then was what it must equal.
 */
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { names, type Keys } from '../domain/keys.ts';
import { compareRow, compareSet, type RowDifference, type SetDifference } from './compare.ts';
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

/** A row that is parked (its key has an open dead letter) is listed by verify, not compared. */
export async function createRowCheck(source: Queryable, redis: RedisStore, keys: Keys, { table, entity }: SourceTable): Promise<Check<RowDifference>> {
  const columns: SourceColumn[] = await readColumns(source, table);
  return {
    table,
    read: async (ids, from) => {
      const found = await redis.strings(ids.map((id) => keys.row(entity, id)));
      const rows = new Map((await readRows(from, table, columns, ids)).map((row) => [row.id, row]));
      const readings = new Map<string, Reading<RowDifference>>();
      for (const [at, id] of ids.entries()) {
        const row = rows.get(id);
        const differences = compareRow(`${entity}:${id}`, columns, row?.json ?? null, found[at] ?? null);
        readings.set(id, { version: row?.version ?? '', differences });
      }
      const differing = [...readings.keys()].filter((id) => readings.get(id)?.differences.length !== 0);
      const parked = await redis.strings(differing.map((id) => keys.parked(table, id)));
      for (const [at, id] of differing.entries()) if (parked[at]) readings.delete(id);
      return readings;
    },
  };
}

export function createSetCheck(redis: RedisStore, keys: Keys): Check<SetDifference> {
  return {
    table: 'customers',
    read: async (ids, source) => {
      const found = await redis.sortedSets(ids.map((id) => keys.of(names.customerOrders(id))));
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
