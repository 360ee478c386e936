/**
 * The replicated tables as the source has them now. Asked again when an image does not fit what is known, at most once a
 * second, so that a flood of malformed records does not become a flood of queries.
 */
import type { Database } from '../../adapters/postgres.ts';
import { asInSource, type SourceColumn } from '../../domain/source-columns.ts';
import type { Table } from '../../domain/tables/table.ts';

export interface SourceSchema {
  /** The table with the columns the source had when last asked. */
  current: (name: string) => Table | undefined;
  /** Asks the source; true when a column of this table is not what it was. */
  refresh: (name: string) => Promise<boolean>;
}

const askEveryMs = 1000;

/** Resolves when the source has answered once. */
export async function readSourceSchema(db: Database, tables: readonly Table[], nowMs: () => number = () => performance.now()): Promise<SourceSchema> {
  const current = new Map<string, Table>();
  let askedMs = -Infinity;
  const ask = async (): Promise<Set<string>> => {
    askedMs = nowMs();
    const columns = await db.query<SourceColumn & { table: string }>(
      `SELECT table_name AS table, column_name AS name, data_type AS type FROM information_schema.columns
       WHERE table_schema = 'public' AND table_name = ANY($1) ORDER BY ordinal_position`,
      [tables.map(({ name }) => name)],
    );
    const changed = new Set<string>();
    for (const table of tables) {
      const found = asInSource(table, columns.filter((column) => column.table === table.name));
      if (JSON.stringify(found.columns) !== JSON.stringify(current.get(table.name)?.columns)) changed.add(table.name);
      current.set(table.name, found);
    }
    return changed;
  };
  await ask();
  return {
    current: (name) => current.get(name),
    refresh: async (name) => nowMs() - askedMs >= askEveryMs && (await ask()).has(name),
  };
}
