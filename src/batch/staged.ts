/** The staged Parquet of a run as the views and variables that the batch's SQL speaks of. Reads names of files only. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDb, sqlText } from '../adapters/duckdb.ts';
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
  const files = await readdir(sourceDir);
  const views = batchTables.map((table) => viewOf(table, sourceDir, files.some((file) => file.startsWith(`${table}-`) && file.endsWith('.parquet'))));
  const variables = (['start', 'end'] as const).map((edge) => `SET VARIABLE window_${edge} = ${sqlText(window[edge])}::TIMESTAMP`);
  await db.run([...views, ...variables].join(';\n'), signal);
}

function viewOf(table: BatchTable, dir: string, hasFiles: boolean): string {
  const columns = Object.entries(stagedColumns[table]);
  const select = columns.map(([name, type]) => `CAST(${hasFiles ? name : 'NULL'} AS ${type}) AS ${name}`).join(', ');
  const from = hasFiles ? `FROM read_parquet(${sqlText(join(literalGlob(dir), `${table}-*.parquet`))})` : 'WHERE false';
  return `CREATE OR REPLACE TEMP VIEW ${table} AS SELECT ${select} ${from}`;
}

/** A path whose own `*`, `?` and `[` mean themselves. */
const literalGlob = (path: string): string => path.replace(/[*?[]/g, '[$&]');
