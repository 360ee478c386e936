/**
 * How a table travels: columns of the source → fields of a CSV page → columns of the staged Parquet. Pure.
 * Invariant: PostgreSQL prints every value as it is, DuckDB converts it exactly; what cannot be converted is refused by its type before anything is read.
 */
import { sqlText } from '../adapters/duckdb.ts';
import type { CopiedValues } from '../adapters/postgres.ts';
import { batchTables, type BatchTable, stagedColumns } from '../domain/batch-staging.ts';
import { PipelineError } from '../domain/errors.ts';

export interface SourceColumn {
  table: string;
  column: string;
  /** As PostgreSQL writes it, such as `numeric(10,2)`; a domain's is that of its base. */
  type: string;
  /** pg_type.typcategory: S = strings, E = enums. */
  category: string;
  notNull: boolean;
}

export interface PageShape {
  table: BatchTable;
  /** What COPY selects, in this order; the last field is `id`, the first is never a text: DuckDB would take U+FEFF there for a byte order mark. */
  select: string;
  values: CopiedValues;
  /** DuckDB's `columns` of read_csv. */
  csvColumns: string;
  /** What DuckDB selects from them. */
  staged: string;
  /** Money whose type does not rule out what whole cents cannot hold: its values are checked first. */
  unbounded: string[];
  /** Without a NOT NULL there may be rows that no range of ids contains. */
  idMayBeNull: boolean;
}

type Kind = 'integer' | 'text' | 'money' | 'time';

const columnsOf: Record<BatchTable, Record<string, Kind>> = {
  customers: { created_at: 'time', first_name: 'text', last_name: 'text', city: 'text', state: 'text', id: 'integer' },
  products: { stock_quantity: 'integer', created_at: 'time', name: 'text', category: 'text', price: 'money', id: 'integer' },
  orders: { customer_id: 'integer', order_date: 'time', total_amount: 'money', status: 'text', id: 'integer' },
  order_items: { order_id: 'integer', product_id: 'integer', quantity: 'integer', unit_price: 'money', id: 'integer' },
};
/** Staged columns whose source has another name. */
const sourceOf: Record<string, string> = { price_text: 'price', price_cents: 'price', total_cents: 'total_amount', unit_price_cents: 'unit_price' };

const needed: Record<Kind, string> = { integer: 'smallint, integer or bigint', text: 'a text type or an enum', money: 'numeric(p,2)', time: 'timestamp or timestamptz' };
const fits: Record<Kind, (source: SourceColumn) => boolean> = {
  integer: ({ type }) => ['smallint', 'integer', 'bigint'].includes(type),
  text: ({ category }) => category === 'S' || category === 'E',
  money: ({ type }) => /^numeric(\(|$)/.test(type),
  time: ({ type }) => /^timestamp(\(\d\))? with(out)? time zone$/.test(type),
};

/** The shapes of all tables. Error `batch_schema` names every column that is missing or of a type that cannot be read. */
export function pageShapes(source: SourceColumn[]): PageShape[] {
  const problems: string[] = [];
  const shapes = batchTables.map((table) => shapeOf(table, source.filter((one) => one.table === table), problems));
  if (problems.length === 0) return shapes;
  throw new PipelineError('batch_schema', `The source cannot be extracted: ${problems.join('; ')}. Restore it, or grant sluice_reader the table.`, { details: { problems } });
}

function shapeOf(table: BatchTable, source: SourceColumn[], problems: string[]): PageShape {
  const found = new Map(source.map((one) => [one.column, one]));
  const kinds = Object.entries(columnsOf[table]);
  if (source.length === 0) problems.push(`table ${table} is missing`);
  for (const [column, kind] of source.length === 0 ? [] : kinds) {
    const one = found.get(column);
    if (!one) problems.push(`${table}.${column} is missing`);
    else if (!fits[kind](one)) problems.push(`${table}.${column} is ${one.type}, needs ${needed[kind]}`);
  }
  return {
    table,
    select: kinds.map(([column]) => (found.get(column)?.type.endsWith(' with time zone') ? `${column} AT TIME ZONE 'UTC'` : column)).join(', '),
    values: kinds.some(([, kind]) => kind === 'text') ? 'quoted' : 'bare',
    csvColumns: `{${kinds.map(([column, kind]) => `${column}: '${kind === 'integer' ? 'BIGINT' : 'VARCHAR'}'`).join(', ')}}`,
    staged: Object.entries(stagedColumns[table]).map(([name, type]) => `${converted(name, type, columnsOf[table])} AS ${name}`).join(', '),
    unbounded: kinds.filter(([column, kind]) => kind === 'money' && !isBounded(found.get(column)?.type ?? '')).map(([column]) => column),
    idMayBeNull: found.get('id')?.notNull !== true,
  };
}

/** At most 14 digits before the point and two behind it. */
function isBounded(type: string): boolean {
  const [, precision, scale] = /^numeric\((\d+),(-?\d+)\)$/.exec(type) ?? [];
  const behind = Number(scale);
  return precision !== undefined && behind >= 0 && behind <= 2 && Number(precision) - behind <= 14;
}

/** Counts the rows whose amount whole cents cannot hold, and names one. */
export const unfitAmounts = (table: BatchTable, column: string): string =>
  `SELECT count(*)::text AS count, min(id)::text AS id FROM public.${table}
   WHERE ${column} <> 'NaN' AND NOT (abs(${column}) < 1e14 AND ${column} = round(${column}, 2))`;

function converted(name: string, type: string, kinds: Record<string, Kind>): string {
  const column = sourceOf[name] ?? name;
  if (kinds[column] === 'money' && type === 'BIGINT') return `(nullif(${column}, 'NaN')::DECIMAL(18,2) * 100)::BIGINT`;
  if (kinds[column] === 'time') return moment(column);
  return column;
}

/**
 * Nearly every time is read as it is printed. `0044-03-15 12:00:00 BC` is `0044-03-15 (BC) 12:00:00` for DuckDB, and what lies
 * beyond its last moment, in the year 294247, becomes infinity: for a batch either is a time after its window.
 */
const moment = (column: string): string =>
  `coalesce(try_cast(${column} AS TIMESTAMP), CASE
    WHEN suffix(${column}, ' BC') THEN replace(left(${column}, length(${column}) - 3), ' ', ' (BC) ')::TIMESTAMP
    WHEN regexp_matches(${column}, '^29[4-9][0-9]{3}-') THEN 'infinity'::TIMESTAMP
    ELSE ${column}::TIMESTAMP END)`;

/** DuckDB's conversion of one CSV page, read as a whole: a value may contain line breaks, and no boundary of a buffer cuts it. */
export const convertPage = ({ csvColumns, staged }: PageShape, csv: { path: string; bytes: number }, parquetFile: string): string =>
  writeParquet(
    `SELECT ${staged} FROM read_csv(${sqlText(csv.path)}, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', new_line = '\\n',
      nullstr = '', allow_quoted_nulls = false, columns = ${csvColumns}, max_line_size = ${csv.bytes}, buffer_size = ${csv.bytes})`,
    parquetFile,
  );

/** The page of a table without rows: it has the columns. */
export const emptyPage = ({ table }: PageShape, parquetFile: string): string =>
  writeParquet(`SELECT ${Object.entries(stagedColumns[table]).map(([name, type]) => `NULL::${type} AS ${name}`).join(', ')} WHERE false`, parquetFile);

const writeParquet = (select: string, file: string): string => `COPY (${select}) TO ${sqlText(file)} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 40960)`;

/** The columns of the four tables as they are now. */
export const columnsQuery = `
  SELECT c.relname AS table, a.attname AS column, t.typcategory AS category, a.attnotnull AS "notNull",
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END AS type
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
  WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped`;
