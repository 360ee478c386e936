/** The columns of the source's tables, to be compared with those that the replica's rows were read with. */
import type { Queryable } from '../adapters/postgres.ts';

/** table → JSON object column → type, in order of the column names. Tables that are gone are left out. */
export async function readColumns(db: Queryable, tables: string[]): Promise<Record<string, string>> {
  const rows = await db.query<{ table: string; column: string; type: string }>(
    `SELECT relname AS "table", attname AS "column", format_type(atttypid, atttypmod) AS type
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
     ORDER BY relname, attname`,
    [tables],
  );
  const columns: Record<string, Record<string, string>> = {};
  for (const { table, column, type } of rows) (columns[table] ??= {})[column] = type;
  return Object.fromEntries(Object.entries(columns).map(([table, types]) => [table, JSON.stringify(types)]));
}

/** What has changed between two such texts, for a person: `column colour added, column phone is now bigint`. */
export function describeDrift(before: string, after: string): string {
  const old = JSON.parse(before) as Record<string, string>;
  const now = JSON.parse(after) as Record<string, string>;
  const changes = [
    ...Object.keys(now).filter((name) => !(name in old)).map((name) => `column ${name} added`),
    ...Object.keys(old).filter((name) => !(name in now)).map((name) => `column ${name} dropped`),
    ...Object.keys(now).filter((name) => name in old && old[name] !== now[name]).map((name) => `column ${name} is now ${now[name]}`),
  ];
  return changes.join(', ');
}
