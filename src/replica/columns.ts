/** The columns of the source's tables, to be compared with those that the replica's rows were read with (`keys.columns`). */
import type { Queryable } from '../adapters/postgres.ts';
import { asInSource, whyUncountable, type SourceColumns } from '../domain/source-columns.ts';
import type { Table } from '../domain/tables/table.ts';

/** A member beside the columns, none of which may begin with `_`: other whenever a column was altered, also when it is the same again. */
const stamp = '_ddl';
const asCreated = 'created by ';

/**
 * table → JSON object column → type and the stamp, in order of the column names. Tables that are gone are left out. PostgreSQL
 * writes a column's catalog row anew at each change of it, also of one that is dropped: xmin tells.
 */
export async function readColumns(db: Queryable, tables: string[]): Promise<Record<string, string>> {
  const rows = await db.query<{ table: string; types: SourceColumns | null; ddl: string }>(
    `SELECT relname AS "table",
       json_object_agg(attname, CASE typtype WHEN 'd' THEN format_type(typbasetype, typtypmod) ELSE format_type(atttypid, atttypmod) END ORDER BY attname)
         FILTER (WHERE NOT attisdropped) AS types,
       CASE count(DISTINCT pg_attribute.xmin::text) WHEN 1 THEN $2 || min(pg_attribute.xmin::text)
         ELSE md5(string_agg(concat(attnum, ' ', pg_attribute.xmin), ',' ORDER BY attnum)) END AS ddl
     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid LEFT JOIN pg_type ON pg_type.oid = atttypid
     WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) AND relkind IN ('r', 'p') AND attnum > 0
     GROUP BY relname`,
    [tables, asCreated],
  );
  return Object.fromEntries(rows.map(({ table, types, ddl }) => [table, JSON.stringify({ ...types, [stamp]: ddl })]));
}

/** Such a text without its stamp. */
export function parseColumns(text: string): SourceColumns {
  const { [stamp]: _, ...columns } = JSON.parse(text) as SourceColumns;
  return columns;
}

/** Why no row that is read with these columns can be applied; empty when they can, or when the table is gone. */
export const whyUnreadable = (table: Table, text: string | undefined): string => (text === undefined ? '' : whyUncountable(asInSource(table, parseColumns(text))));

/** Whether a column was altered, added or dropped since the table was made. */
export const isAltered = (text: string): boolean => !(JSON.parse(text) as SourceColumns)[stamp]?.startsWith(asCreated);

/** What has changed between two such texts, for a person: `column colour added, column phone is now bigint`. */
export function describeDrift(before: string, after: string): string {
  const old = parseColumns(before);
  const now = parseColumns(after);
  const changes = [
    ...Object.keys(now).filter((name) => !(name in old)).map((name) => `column ${name} added`),
    ...Object.keys(old).filter((name) => !(name in now)).map((name) => `column ${name} dropped`),
    ...Object.keys(now).filter((name) => name in old && old[name] !== now[name]).map((name) => `column ${name} is now ${now[name]}`),
  ];
  return changes.join(', ') || 'columns were altered and are what they were';
}
