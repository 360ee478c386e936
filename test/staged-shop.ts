/** A shop as it is staged for a batch run, and its way into Parquet files. */
import { join } from 'node:path';
import { type DuckDb, sqlText } from '../src/adapters/duckdb.ts';
import { type BatchTable, batchTables, stagedColumns } from '../src/domain/batch-staging.ts';

/** Microseconds since 1970, or what PostgreSQL holds beside times. */
export type Time = bigint | 'infinity' | '-infinity' | null;

export interface StagedShop {
  customers: { id: bigint | null; first_name: string | null; last_name: string | null; city: string | null; state: string | null; created_at: Time }[];
  products: {
    id: bigint | null;
    name: string | null;
    category: string | null;
    price_text: string | null;
    price_cents: bigint | null;
    stock_quantity: bigint | null;
    created_at: Time;
  }[];
  orders: { id: bigint | null; customer_id: bigint | null; order_date: Time; total_cents: bigint | null; status: string | null }[];
  order_items: { id: bigint | null; order_id: bigint | null; product_id: bigint | null; quantity: bigint | null; unit_price_cents: bigint | null }[];
}

/** Each table in files of at most `fileRowsMax` rows; one without rows has no file. */
export async function writeStaged(db: DuckDb, dir: string, shop: StagedShop, fileRowsMax = 25): Promise<void> {
  for (const table of batchTables) {
    const rows = shop[table] as Record<string, unknown>[];
    for (let from = 0; from < rows.length; from += fileRowsMax) {
      await db.run(`COPY (${selectOf(table, rows.slice(from, from + fileRowsMax))}) TO ${sqlText(join(dir, `${table}-${from}.parquet`))} (FORMAT parquet)`);
    }
  }
}

function selectOf(table: BatchTable, rows: Record<string, unknown>[]): string {
  const columns = Object.entries(stagedColumns[table]);
  const literals = rows.map((row) => `(${columns.map(([name, type]) => literal(row[name], type)).join(', ')})`);
  return `SELECT * FROM (VALUES ${literals.join(', ')}) rows (${columns.map(([name]) => name).join(', ')})`;
}

function literal(value: unknown, type: string): string {
  if (typeof value === 'bigint' && type === 'TIMESTAMP') return `make_timestamp(${value}::BIGINT)`;
  return value === null ? `NULL::${type}` : `${sqlText(String(value))}::${type}`;
}

export const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n;
