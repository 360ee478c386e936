/** One walk over the replica's keys: what is there for things the source does not have, and what is parked. */
import { mapAhead } from './map-ahead.ts';
import type { Parked } from './parked.ts';
import type { PipelineDeps } from './pipeline.ts';
import { missingIds, sourceTables } from './source.ts';

/** Ids found in Redis that the source did not have when asked; they may have been written since, so they are suspects only. */
export interface Strays {
  /** Table → ids of rows. */
  rows: Map<string, Set<string>>;
  /** Customers with a set of orders. */
  sets: Set<string>;
  /** Products with counters. */
  products: Set<string>;
}

/** Beyond this many of a kind the replica is another shop's; more would tell nothing. */
const straysMax = 5_000;
const pageKeys = 5_000;

interface Kind {
  table: string;
  unknown: Set<string>;
}

/** `tell` hears how many keys were seen. */
export async function scanReplica({ db, redis, keys }: PipelineDeps, parked: Parked, tell: (seen: number) => void): Promise<Strays> {
  const rows = new Map(sourceTables.map(({ table }) => [table, new Set<string>()]));
  const strays: Strays = { rows, sets: new Set(), products: new Set() };
  const ofEntity = new Map<string, Kind>(sourceTables.map(({ table, entity }) => [entity, { table, unknown: rows.get(table)! }]));
  const ofSets: Kind = { table: 'customers', unknown: strays.sets };
  const ofProducts: Kind = { table: 'products', unknown: strays.products };

  const kindOf = (name: string): [Kind, id: string] | undefined => {
    if (name.startsWith('metrics:')) return name.startsWith('metrics:product:') ? [ofProducts, name.slice('metrics:product:'.length)] : undefined;
    const [entity = '', id = '', rest] = name.split(':', 4);
    if (rest !== undefined) return entity === 'customer' && name === `customer:${id}:orders` ? [ofSets, id] : undefined;
    const kind = ofEntity.get(entity);
    return kind && [kind, id];
  };

  const look = async (page: string[]): Promise<number> => {
    const ids = new Map<Kind, string[]>();
    for (const key of page) {
      const name = key.slice(keys.prefix.length);
      parked.note(name);
      const [kind, id = ''] = kindOf(name) ?? [];
      if (kind === undefined || kind.unknown.size >= straysMax) continue;
      const some = ids.get(kind);
      if (some) some.push(id);
      else ids.set(kind, [id]);
    }
    for (const [{ table, unknown }, some] of ids) for (const id of await missingIds(db, table, some)) unknown.add(id);
    return page.length;
  };

  let seen = 0;
  for await (const count of mapAhead(redis.scan(`${keys.prefix}*`, pageKeys), 2, look)) tell((seen += count));
  return strays;
}
