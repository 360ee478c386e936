/** One walk over the replica's keys: what is there for things the source does not have, and what is parked. */
import type { PipelineDeps } from './pipeline.ts';
import { existingIds, sourceTables } from './source.ts';

/** Ids found in Redis that the source did not have when asked; they may have been written since, so they are suspects only. */
export interface Strays {
  /** Table → ids of rows. */
  rows: Map<string, Set<string>>;
  /** Customers with a set of orders. */
  sets: Set<string>;
  /** Products with counters. */
  products: Set<string>;
  /** Keys with an open dead letter, logical names. */
  parked: Set<string>;
}

/** Beyond this many of a kind the replica is another shop's; more would tell nothing. */
const straysMax = 5_000;
const pageKeys = 5_000;

export async function scanReplica({ db, redis, keys }: PipelineDeps): Promise<Strays> {
  const rows = new Map(sourceTables.map(({ table }) => [table, new Set<string>()]));
  const strays: Strays = { rows, sets: new Set(), products: new Set(), parked: new Set() };
  const kinds = [
    ...sourceTables.map(({ table, entity }) => ({ shape: new RegExp(`^${entity}:([^:]+)$`), table, unknown: rows.get(table) ?? new Set<string>() })),
    { shape: /^customer:([^:]+):orders$/, table: 'customers', unknown: strays.sets },
    { shape: /^metrics:product:(.+)$/, table: 'products', unknown: strays.products },
  ];
  for await (const page of redis.scan(`${keys.prefix}*`, pageKeys)) {
    const logical = page.map((key) => key.slice(keys.prefix.length));
    for (const key of logical) if (key.startsWith('cdc:parked:')) strays.parked.add(key);
    for (const { shape, table, unknown } of kinds) {
      const ids = logical.flatMap((key) => shape.exec(key)?.[1] ?? []);
      if (ids.length === 0 || unknown.size >= straysMax) continue;
      const existing = await existingIds(db, table, ids);
      for (const id of ids) if (!existing.has(id)) unknown.add(id);
    }
  }
  return strays;
}
