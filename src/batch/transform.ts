/**
 * The transform of a batch run: staged rows in, records out. A pure function of the staged rows and the window, computed
 * by DuckDB in whole numbers (`sql/batch/`); over the same rows it writes the same records.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDb, parquetSql, sqlText } from '../adapters/duckdb.ts';
import { openStaged, type StagedRun } from './staged.ts';

/** Counts, money as text (`"123.45"`) and labels that occur; nothing about a person. */
export interface TransformResult {
  records_processed: { customers: number; products: number; orders: number };
  customer_insights: {
    total_customers: number;
    segments: Record<string, number>;
    recency_segments: Record<string, number>;
    avg_customer_value: string;
    total_customer_value: string;
  };
  product_insights: {
    total_products: number;
    performance_categories: Record<string, number>;
    stock_status: Record<string, number>;
    total_revenue: string;
    avg_units_sold: number;
  };
  order_insights: { total_orders: number; total_revenue: string; avg_order_value: string; status_distribution: Record<string, number> };
  /** Orders that are nowhere in the records: their date is NULL or infinite. */
  orders_without_date: number;
}

const readSql = (name: string): string => readFileSync(new URL(`../../sql/batch/${name}.sql`, import.meta.url), 'utf8');
const preparation = ['macros', 'dated-orders', 'customer-facts', 'product-facts', 'order-facts'].map(readSql);
const recordsOf = { customers: readSql('customer-records'), products: readSql('product-records'), orders: readSql('order-records') };
const insightsSql = readSql('insights');

/** A group of rows is held in memory while it is written: a tenth of the default, since records are long. */
const format = 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 10_240';

/** Files that `transform` writes, as `<name>.parquet` with the columns `id` and `record` (the JSON text), in no order. */
export type RecordKind = keyof typeof recordsOf;

/** File with one row and one column, the insights as JSON: as large as the source's statuses are many and long. */
export const insightsFile = 'insights.parquet';

/** Writes the four files into `outDir`, over what an earlier attempt left there. */
export async function transform({ outDir, ...run }: StagedRun & { outDir: string }): Promise<TransformResult> {
  const { db, signal } = run;
  await openStaged(run);
  await mkdir(outDir, { recursive: true });
  for (const sql of preparation) await db.run(sql, signal);
  for (const [name, sql] of Object.entries(recordsOf)) {
    await db.run(`COPY (${sql}) TO ${sqlText(join(outDir, `${name}.parquet`))} (${format})`, signal);
  }
  await db.run(`COPY (${insightsSql}) TO ${sqlText(join(outDir, insightsFile))} (${format})`, signal);
  return readInsights(db, outDir, signal);
}

/** What `transform` has found, from the folder that it has written into. */
export async function readInsights(db: DuckDb, dir: string, signal?: AbortSignal): Promise<TransformResult> {
  const [found] = await db.rows<{ insights: string }>(`SELECT insights FROM ${parquetSql([join(dir, insightsFile)])}`, signal);
  return JSON.parse(found!.insights) as TransformResult;
}
