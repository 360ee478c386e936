/**
 * What the source says the replica must hold, in the contract's own text, made by SQL alone.
 * Shares nothing with the engine: two independent ways to the same value are what makes the comparison worth something.
 */
import { readFileSync } from 'node:fs';
import type { Queryable } from '../adapters/postgres.ts';
import { PipelineError } from '../domain/errors.ts';

export interface SourceTable {
  table: string;
  /** First part of a row's key. */
  entity: string;
  /** Hashes about the whole table, which sql/verify/aggregates.sql makes. */
  counters: string[];
}

export const sourceTables: readonly SourceTable[] = [
  { table: 'customers', entity: 'customer', counters: ['metrics:customers', 'metrics:customers:by_state'] },
  { table: 'products', entity: 'product', counters: ['metrics:products', 'metrics:products:by_category'] },
  { table: 'orders', entity: 'order', counters: ['metrics:orders', 'metrics:orders:by_status', 'metrics:revenue'] },
  { table: 'order_items', entity: 'order_item', counters: ['metrics:order_items'] },
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
const productCountersSql = readSql('product-counters.sql');

const pageBytesMax = 8 * 1024 * 1024;

/** Pages of at most `rowsMax` ids of a table in key order; the rows of a page hold few bytes together, or it is one row. */
export async function* idPages(source: Queryable, table: string, rowsMax: number): AsyncGenerator<string[]> {
  const page = `${await sizesSql(source, table)} WHERE t.id > $1::bigint ORDER BY t.id LIMIT $2`;
  for (let last = String(-(2n ** 63n)); ;) {
    const rows = await source.query<Size>(page, [last, rowsMax]);
    yield* cutPages(rows, rowsMax);
    if (rows.length < rowsMax) return;
    last = rows.at(-1)!.id;
  }
}

/** The same pages of these ids, in their order; one that the table does not have takes no room. */
export async function pagesOf(source: Queryable, table: string, ids: string[], rowsMax: number): Promise<string[][]> {
  const rows = await source.query<Size>(`${await sizesSql(source, table)} WHERE t.id = ANY ($1::bigint[])`, [ids.filter(isBigint)]);
  const sizes = new Map(rows.map(({ id, bytes }) => [id, bytes]));
  return [...cutPages(ids.map((id) => ({ id, bytes: sizes.get(id) ?? 0 })), rowsMax)];
}

interface Size {
  id: string;
  bytes: number;
}

async function sizesSql(source: Queryable, table: string): Promise<string> {
  const bytes = (await readColumns(source, table)).flatMap(bytesSql).join(' + ') || '0';
  return `SELECT t.id::text, (${bytes})::float8 AS bytes FROM public.${table} t`;
}

function* cutPages(rows: Size[], rowsMax: number): Generator<string[]> {
  let ids: string[] = [];
  let sum = 0;
  for (const { id, bytes } of rows) {
    if (ids.length === rowsMax || (ids.length > 0 && sum + bytes > pageBytesMax)) {
      yield ids;
      ids = [];
      sum = 0;
    }
    ids.push(id);
    sum += bytes;
  }
  if (ids.length > 0) yield ids;
}

/** Plain text tells its length without being fetched from where large values are kept. */
function bytesSql({ name, type }: SourceColumn): string[] {
  if (fixedSize.test(type)) return [];
  const column = `t.${quote(name)}`;
  return [`coalesce(octet_length(${lengthKnown.has(type) ? column : `${column}::text`}), 0)`];
}

const fixedSize = /^(smallint|integer|bigint|real|double precision|numeric|boolean|date|uuid|interval|time|timestamp)/;
const lengthKnown = new Set(['text', 'character varying', 'character', 'bytea']);

/** Some of the oldest and some of the newest ids. */
export async function sampleIds(source: Queryable, table: string): Promise<string[]> {
  const part = (order: string): string => `(SELECT id::text FROM public.${table} ORDER BY public.${table}.id ${order} LIMIT 50)`;
  return (await source.query<{ id: string }>(`${part('ASC')} UNION ${part('DESC')}`)).map(({ id }) => id);
}

/** About how many rows a table has: what the planner believes; counted when it has no idea. */
export async function estimateRows(source: Queryable, table: string): Promise<number> {
  const [known] = await source.query<{ rows: number }>(`SELECT reltuples::float8 AS rows FROM pg_class WHERE oid = 'public.${table}'::regclass`);
  if (known && known.rows > 0) return known.rows;
  const [counted] = await source.query<{ rows: number }>(`SELECT count(*)::float8 AS rows FROM public.${table}`);
  return counted?.rows ?? 0;
}

/** Which of the ids a table does not have. Ids come from Redis keys, so any text is possible. */
export async function missingIds(source: Queryable, table: string, ids: string[]): Promise<string[]> {
  const possible = ids.filter(isBigint);
  const rows = await source.query<{ id: string }>(
    `SELECT i::text AS id FROM unnest($1::bigint[]) i WHERE NOT EXISTS (SELECT FROM public.${table} t WHERE t.id = i)`,
    [possible],
  );
  return [...(possible.length === ids.length ? [] : ids.filter((id) => !isBigint(id))), ...rows.map(({ id }) => id)];
}

/** A bigint as PostgreSQL writes it. */
const isBigint = (id: string): boolean => /^(0|-?[1-9]\d{0,18})$/.test(id) && (id.length < 19 || BigInt.asIntN(64, BigInt(id)) === BigInt(id));

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
    [ids.filter(isBigint)],
  );
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const jsonTypes = new Set(['smallint', 'integer', 'bigint', 'real', 'double precision', 'boolean']);

/** Numbers and booleans as such, arrays as JSON, bytes in base64; dates and times by `isoSql` or with a Z; money and everything else as text. */
function expectedSql({ name, type }: SourceColumn): string {
  const column = `t.${quote(name)}`;
  if (jsonTypes.has(type)) return column;
  if (type === 'timestamp without time zone') return isoSql(column);
  if (type === 'timestamp with time zone') return isoSql(`(${column} AT TIME ZONE 'UTC')`);
  if (type === 'date' || type === 'time without time zone') return `${column}::text || 'Z'`;
  if (type === 'time with time zone') return `(${column} AT TIME ZONE 'UTC')::time::text || 'Z'`;
  if (type === 'bytea') return `translate(encode(${column}, 'base64'), E'\\n', '')`;
  if (type === 'ARRAY') return `to_json(${column})`;
  return `${column}::text`;
}

/** ISO 8601 with astronomical years (44 BC is -0043), up to six digits of a second and Z; ±infinity by name. JSON's own text is the quick way. */
const isoSql = (time: string): string => `
  CASE WHEN ${time} >= '0001-01-01' AND ${time} < '10000-01-01' THEN trim(BOTH '"' FROM to_json(${time})::text) || 'Z'
  WHEN isfinite(${time}) THEN
    CASE WHEN extract(year FROM ${time}) > 9999 THEN '+' || extract(year FROM ${time})
         WHEN extract(year FROM ${time}) < 0 THEN '-' || lpad((-extract(year FROM ${time}) - 1)::text, 4, '0')
         ELSE lpad(extract(year FROM ${time})::text, 4, '0') END || to_char(${time}, '-MM-DD"T"HH24:MI:SS.US"Z"')
  ELSE ${time}::text END`;

/** Customer id → order id → score, for the customers that have orders. `without`: ids of orders. */
export async function readCustomerOrders(source: Queryable, ids: string[], without: string[]): Promise<Map<string, Map<string, string>>> {
  const rows = await counted(source.query<{ customer: string; member: string; score: string }>(customerOrdersSql, [ids.filter(isBigint), without]));
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

/** Counters of products that were sold. `without`: ids of order_items. */
export async function readProductCounters(source: Queryable, ids: string[], without: string[]): Promise<(Omit<Counter, 'hash'> & { product: string })[]> {
  return counted(source.query(productCountersSql, [ids.filter(isBigint), without]));
}

/** Every counter of a whole table at one moment, ordered. `without`: table → ids of rows. */
export const readAggregates = (source: Queryable, without: (table: string) => string[]): Promise<Counter[]> =>
  counted(source.query<Counter>(aggregatesSql, sourceTables.map(({ table }) => without(table))));

/** undefined_column, undefined_function (as of text and number), cannot_coerce. */
const otherColumns = new Set(['42703', '42883', '42846']);

/** Error `source_refused` when a column that is counted is gone, or something else by now. */
async function counted<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof PipelineError) || !otherColumns.has(String(error.details['sqlstate']))) throw error;
    throw new PipelineError('source_refused', `PostgreSQL cannot say what sets and counters should be: a column that they are made of is gone or of another type (${String(error.details['sqlstate'])}). sluice status names it; restore it, then verify again`, { cause: error });
  }
}
