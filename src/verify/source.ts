/**
 * What the source says the replica must hold, in the contract's own text, made by SQL alone.
 * Shares nothing with the engine: two independent ways to the same value are what makes the comparison worth something.
 */
import { readFileSync } from 'node:fs';
import type { Queryable } from '../adapters/postgres.ts';

export interface SourceTable {
  table: string;
  /** First part of a row's key. */
  entity: string;
}

export const sourceTables: readonly SourceTable[] = [
  { table: 'customers', entity: 'customer' },
  { table: 'products', entity: 'product' },
  { table: 'orders', entity: 'order' },
  { table: 'order_items', entity: 'order_item' },
];

export interface SourceColumn {
  name: string;
  /** information_schema's data_type. */
  type: string;
}

export interface SourceRow {
  id: string;
  /** Changes with every write to the row. */
  version: string;
  /** The row as a JSON object. */
  json: string;
}

const readSql = (name: string): string => readFileSync(new URL(`../../sql/verify/${name}`, import.meta.url), 'utf8');
const aggregatesSql = readSql('aggregates.sql');
const customerOrdersSql = readSql('customer-orders.sql');

const pageRows = 2000;

/** Pages of a table's ids in key order. */
export async function* idPages(source: Queryable, table: string): AsyncGenerator<string[]> {
  let last = String(-(2n ** 63n));
  for (;;) {
    const rows = await source.query<{ id: string }>(`SELECT t.id::text FROM public.${table} t WHERE t.id > $1::bigint ORDER BY t.id LIMIT $2`, [last, pageRows]);
    if (rows.length === 0) return;
    yield rows.map(({ id }) => id);
    last = rows.at(-1)?.id ?? last;
  }
}

/** Which of the ids a table has. Ids come from Redis keys, so any text is possible. */
export async function existingIds(source: Queryable, table: string, ids: string[]): Promise<Set<string>> {
  const rows = await source.query<{ id: string }>(`SELECT id::text FROM public.${table} WHERE id = ANY ($1::bigint[])`, [ids.filter(isInteger)]);
  return new Set(rows.map(({ id }) => id));
}

const isInteger = (id: string): boolean => /^-?\d{1,18}$/.test(id);

export const readColumns = (source: Queryable, table: string): Promise<SourceColumn[]> =>
  source.query<SourceColumn>(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`,
    [table],
  );

export function readRows(source: Queryable, table: string, columns: SourceColumn[], ids: string[]): Promise<SourceRow[]> {
  const image = columns.map((column) => `${expectedSql(column)} AS ${quote(column.name)}`).join(', ');
  return source.query<SourceRow>(
    `SELECT t.id::text, t.xmin::text AS version, (SELECT row_to_json(image) FROM (SELECT ${image}) image)::text AS json
     FROM public.${table} t WHERE t.id = ANY ($1::bigint[])`,
    [ids.filter(isInteger)],
  );
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const jsonTypes = new Set(['smallint', 'integer', 'bigint', 'real', 'double precision', 'boolean']);

/** Numbers and booleans as such; money and everything else as text; times by `isoSql`. */
function expectedSql({ name, type }: SourceColumn): string {
  const column = `t.${quote(name)}`;
  if (jsonTypes.has(type)) return column;
  if (type === 'timestamp without time zone') return isoSql(column);
  if (type === 'timestamp with time zone') return isoSql(`(${column} AT TIME ZONE 'UTC')`);
  return `${column}::text`;
}

/** ISO 8601 with astronomical years (44 BC is -0043), six digits of a second and Z; ±infinity by name. */
const isoSql = (time: string): string => `
  CASE WHEN isfinite(${time}) THEN
    CASE WHEN extract(year FROM ${time}) > 9999 THEN '+' || extract(year FROM ${time})
         WHEN extract(year FROM ${time}) < 0 THEN '-' || lpad((-extract(year FROM ${time}) - 1)::text, 4, '0')
         ELSE lpad(extract(year FROM ${time})::text, 4, '0') END || to_char(${time}, '-MM-DD"T"HH24:MI:SS.US"Z"')
  ELSE ${time}::text END`;

/** Customer id → order id → score, for the customers that have orders. */
export async function readCustomerOrders(source: Queryable, ids: string[]): Promise<Map<string, Map<string, string>>> {
  const rows = await source.query<{ customer: string; member: string; score: string }>(customerOrdersSql, [ids.filter(isInteger)]);
  const sets = new Map<string, Map<string, string>>();
  for (const { customer, member, score } of rows) {
    const members = sets.get(customer) ?? new Map<string, string>();
    sets.set(customer, members.set(member, score));
  }
  return sets;
}

export interface Counter {
  hash: string;
  field: string;
  amount: string;
}

/** Every counter at one moment, ordered. */
export const readAggregates = (source: Queryable): Promise<Counter[]> => source.query<Counter>(aggregatesSql);
