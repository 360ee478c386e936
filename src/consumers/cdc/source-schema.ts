/**
 * The replicated tables in the versions of their columns that the source has and had, the newest first.
 * Invariant: an image that fits none of them is judged only after the source was asked when the image was already there, and
 * what a re-reading brings is decoded by columns that were asked after it began.
 */
import type { Queryable } from '../../adapters/postgres.ts';
import type { RedisStore } from '../../adapters/redis.ts';
import type { Keys } from '../../domain/keys.ts';
import { asInSource } from '../../domain/source-columns.ts';
import type { Table } from '../../domain/tables/table.ts';
import { isAltered, parseColumns, readColumns } from '../../replica/columns.ts';
import { readTableState } from '../../replica/table-state.ts';
import { freshRuns } from './fresh-runs.ts';

export interface SourceSchema {
  /** The known versions, the newest first; the same array for as long as nothing new is known. */
  versions: (table: string) => readonly Table[];
  /** The versions after an ask that began after this call, or that have changed since `known`. */
  refresh: (table: string, known: readonly Table[]) => Promise<readonly Table[]>;
  /** The versions after an ask that began when the table had this generation. */
  under: (table: string, generation: number) => Promise<readonly Table[]>;
  /** Whether the table may ever have had other columns than the known versions: an image that fits none of them may then still be its own. */
  isAltered: (table: string) => boolean;
}

export interface SourceSchemaDeps {
  /** The source, reading only. */
  db: Queryable;
  redis: RedisStore;
  keys: Keys;
  tables: readonly Table[];
}

/** So that a flood of malformed records does not become a flood of queries. */
const askEveryMs = 200;
/** A topic's lag does not hold images of more changes than that. */
const versionsMax = 8;

/** Resolves when the source has answered once. */
export async function readSourceSchema({ db, redis, keys, tables }: SourceSchemaDeps): Promise<SourceSchema> {
  const names = tables.map(({ name }) => name);
  const versions = new Map<string, readonly Table[]>(tables.map((table) => [table.name, []]));
  const newest = new Map<string, string>();
  const altered = new Set<string>();
  const learn = (texts: Record<string, string>): void => {
    for (const table of tables) {
      const { name } = table;
      const text = texts[name];
      if (text === undefined) continue;
      if (isAltered(text) || text !== (newest.get(name) ?? text)) altered.add(name);
      newest.set(name, text);
      versions.set(name, withNewest(versions.get(name)!, asInSource(table, parseColumns(text))));
    }
  };
  const generations = new Map<string, number>();
  for (const name of names) generations.set(name, (await readTableState(redis, keys, name)).generation);
  learn(await redis.hash(keys.columns));
  const ask = freshRuns(askEveryMs, async () => learn(await readColumns(db, names)));
  await ask();
  for (const table of tables) if (versions.get(table.name)!.length === 0) versions.set(table.name, [table]);

  const of = (name: string): readonly Table[] => versions.get(name)!;
  return {
    versions: of,
    refresh: async (name, known) => {
      if (of(name) === known) await ask();
      return of(name);
    },
    under: async (name, generation) => {
      if (generations.get(name) !== generation) await ask();
      generations.set(name, generation);
      return of(name);
    },
    isAltered: (name) => altered.has(name),
  };
}

/** The same array when the newest is the newest already. */
function withNewest(known: readonly Table[], newest: Table): readonly Table[] {
  const isNewest = (table: Table): boolean => columnsText(table) === columnsText(newest);
  return known[0] && isNewest(known[0]) ? known : [newest, ...known.filter((table) => !isNewest(table))].slice(0, versionsMax);
}

const columnsText = ({ columns }: Table): string => JSON.stringify(columns);
