/** The staged Parquet of a run as the views and variables that the batch's SQL speaks of. Reads names and sizes of files only. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type DuckDb, parquetSql, sqlText } from '../adapters/duckdb.ts';
import { type BatchTable, batchTables, stagedColumns } from '../domain/batch-staging.ts';
import type { BatchWindow } from '../domain/batch-window.ts';

export interface StagedRun {
  db: DuckDb;
  /** Folder of the files `<table>-<number>.parquet`; a table may have none. */
  sourceDir: string;
  window: BatchWindow;
  signal?: AbortSignal;
}

/** Makes a view of each table, and the variables `window_start` (inclusive) and `window_end` (exclusive). */
export async function openStaged({ db, sourceDir, window, signal }: StagedRun): Promise<void> {
  const files = await largestFirst(sourceDir);
  const views = batchTables.map((table) => viewOf(table, files.filter((file) => basename(file).startsWith(`${table}-`))));
  const variables = (['start', 'end'] as const).map((edge) => `SET VARIABLE window_${edge} = ${sqlText(window[edge])}::TIMESTAMP`);
  await db.run([...views, ...variables].join(';\n'), signal);
}

/** DuckDB expects of every file as many rows as the first one has, and a table's first page is a small one: a poor guess is a poor join. */
async function largestFirst(dir: string): Promise<string[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.parquet')).map((file) => join(dir, file));
  const sized = await Promise.all(files.map(async (file) => ({ file, bytes: (await stat(file)).size })));
  return sized.toSorted((a, b) => b.bytes - a.bytes).map(({ file }) => file);
}

function viewOf(table: BatchTable, files: string[]): string {
  const columns = Object.entries(stagedColumns[table]);
  const select = columns.map(([name, type]) => `CAST(${files.length > 0 ? name : 'NULL'} AS ${type}) AS ${name}`).join(', ');
  const from = files.length > 0 ? `FROM ${parquetSql(files)}` : 'WHERE false';
  return `CREATE OR REPLACE TEMP VIEW ${table} AS SELECT ${select} ${from}`;
}
