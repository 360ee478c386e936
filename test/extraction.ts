/** What tests of the extraction share: a PostgreSQL, a DuckDB, a staging folder, and the comparison of what was staged with SQL. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDb, openDuckDb } from '../src/adapters/duckdb.ts';
import type { Queryable } from '../src/adapters/postgres.ts';
import { createDirectoryStaging } from '../src/batch/directory-staging.ts';
import { extract, type ExtractOptions } from '../src/batch/extract.ts';
import type { Staging } from '../src/batch/staging.ts';
import { type BatchTable, batchTables } from '../src/domain/batch-staging.ts';
import { startPostgres, type TestPostgres, type TestShop } from './postgres.ts';

type Rows = Record<string, string | null>[];

/** SQL of what a staged file must hold, and how DuckDB shows what it does hold. Times as microseconds, long texts as hashes. */
const pgMoment = (name: string): string => `CASE WHEN isfinite(${name}) THEN (extract(epoch FROM ${name}) * 1000000)::bigint::text ELSE ${name}::text END AS ${name}`;
const duckMoment = (name: string): string => `CASE WHEN isfinite(${name}) THEN epoch_us(${name})::VARCHAR ELSE ${name}::VARCHAR END AS ${name}`;
const pgCents = (name: string, as: string): string => `(nullif(${name}, 'NaN') * 100)::bigint::text AS ${as}`;
const duckHash = (...names: string[]): string => names.map((name) => `md5(${name}) AS ${name}`).join(', ');
/** Of the text as it is printed: a cast would strip the blanks of a char(n). */
const pgHash = (...names: string[]): string => names.map((name) => `CASE WHEN ${name} IS NOT NULL THEN md5(format('%s', ${name})) END AS ${name}`).join(', ');
const texts = (names: string[], type: string): string => names.map((name) => `${name}::${type} AS ${name}`).join(', ');
const comparisons: Record<BatchTable, { source: string; staged: string }> = {
  customers: {
    source: `${texts(['id'], 'text')}, ${pgHash('first_name', 'last_name', 'city', 'state')}, ${pgMoment('created_at')}`,
    staged: `${texts(['id'], 'VARCHAR')}, ${duckHash('first_name', 'last_name', 'city', 'state')}, ${duckMoment('created_at')}`,
  },
  products: {
    source: `${texts(['id'], 'text')}, ${pgHash('name', 'category')}, price::text AS price_text, ${pgCents('price', 'price_cents')}, ${texts(['stock_quantity'], 'text')}, ${pgMoment('created_at')}`,
    staged: `${texts(['id'], 'VARCHAR')}, ${duckHash('name', 'category')}, price_text, ${texts(['price_cents', 'stock_quantity'], 'VARCHAR')}, ${duckMoment('created_at')}`,
  },
  orders: {
    source: `${texts(['id', 'customer_id'], 'text')}, ${pgMoment('order_date')}, ${pgCents('total_amount', 'total_cents')}, ${pgHash('status')}`,
    staged: `${texts(['id', 'customer_id'], 'VARCHAR')}, ${duckMoment('order_date')}, ${texts(['total_cents'], 'VARCHAR')}, ${duckHash('status')}`,
  },
  order_items: {
    source: `${texts(['id', 'order_id', 'product_id', 'quantity'], 'text')}, ${pgCents('unit_price', 'unit_price_cents')}`,
    staged: texts(['id', 'order_id', 'product_id', 'quantity', 'unit_price_cents'], 'VARCHAR'),
  },
};
const inOrder = (rows: Rows): string[] => rows.map((row) => JSON.stringify(Object.entries(row).toSorted(([a], [b]) => a.localeCompare(b)))).toSorted();

/** What must be staged of the source as `tx` sees it. */
export async function sourceRows(tx: Queryable): Promise<Record<BatchTable, string[]>> {
  const found: [BatchTable, string[]][] = [];
  for (const table of batchTables) found.push([table, inOrder(await tx.query(`SELECT ${comparisons[table].source} FROM public.${table}`))]);
  return Object.fromEntries(found) as Record<BatchTable, string[]>;
}

export interface ExtractionLab {
  postgres: TestPostgres;
  staging: Staging;
  /** Extractions leave nothing in it. */
  scratchDir: string;
  /** Of an extraction in pages of a few rows and bytes, into a new set. */
  options: (shop: TestShop, extra?: Partial<ExtractOptions>) => ExtractOptions;
  stagedRows: (set: string) => Promise<Record<BatchTable, string[]>>;
  /** Extracts at the moment of a snapshot of ours and compares with SQL at that moment; `meanwhile` happens in between. */
  assertSame: (shop: TestShop, extra?: Partial<ExtractOptions>, meanwhile?: () => Promise<unknown>) => Promise<Record<BatchTable, number>>;
  close: () => Promise<void>;
}

export async function openExtractionLab(): Promise<ExtractionLab> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-extract-'));
  const scratchDir = join(dir, 'scratch');
  const staging = createDirectoryStaging({ dir: join(dir, 'staging'), ttlMs: 3_600_000 });
  const postgres = await startPostgres();
  const duck: DuckDb = await openDuckDb({ dir, memoryMb: 256, threads: 2 });
  let sets = 0;

  const stagedRows = async (set: string): Promise<Record<BatchTable, string[]>> => {
    const into = join(dir, `fetched-${sets++}`);
    await staging.fetch(set, into);
    const found: [BatchTable, string[]][] = [];
    for (const table of batchTables) found.push([table, inOrder(await duck.rows(`SELECT ${comparisons[table].staged} FROM read_parquet('${into}/${table}-*.parquet')`))]);
    return Object.fromEntries(found) as Record<BatchTable, string[]>;
  };

  const options = (shop: TestShop, extra: Partial<ExtractOptions> = {}): ExtractOptions => ({
    db: shop.reader,
    duck,
    staging,
    set: `run-${sets++}/1/raw`,
    scratchDir,
    readers: 2,
    pageRows: 7,
    pageBytes: 300,
    signal: new AbortController().signal,
    ...extra,
  });

  const assertSame: ExtractionLab['assertSame'] = (shop, extra = {}, meanwhile = async () => undefined) =>
    shop.owner.snapshot(
      async (tx) => {
        const asked = options(shop, { snapshot: await tx.exportSnapshot(), ...extra });
        const [{ rows, files, bytes }] = await Promise.all([extract(asked), meanwhile()]);
        const expected = await sourceRows(tx);
        assert.deepEqual(await stagedRows(asked.set), expected);
        for (const table of batchTables) assert.equal(rows[table], expected[table].length);
        assert.ok(files >= batchTables.length && bytes > 0);
        assert.deepEqual(readdirSync(scratchDir), []);
        return rows;
      },
      { tables: batchTables },
    );

  const close = async (): Promise<void> => {
    await duck.close();
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return { postgres, staging, scratchDir, options, stagedRows, assertSame, close };
}
