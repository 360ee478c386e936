/** Counts of one extraction: how far it is, how large rows are, and whether everything that was read was staged. */
import { batchTables, type BatchTable } from '../domain/batch-staging.ts';
import { PipelineError } from '../domain/errors.ts';

export interface ExtractProgress {
  /** Rows staged so far. */
  rows: Record<BatchTable, number>;
  /** Of all tables together, as PostgreSQL's planner expects. */
  rowsEstimated: number;
}

export interface ExtractResult {
  rows: Record<BatchTable, number>;
  /** Of the staged files. */
  bytes: number;
  files: number;
}

export type ExtractTally = ReturnType<typeof createTally>;

/** Nothing is known of a table's rows yet. */
const firstPageRows = 1000;

export function createTally({ pageRows, pageBytes }: { pageRows: number; pageBytes: number }) {
  const each = <T>(make: () => T): Record<BatchTable, T> => Object.fromEntries(batchTables.map((table) => [table, make()])) as Record<BatchTable, T>;
  const tables = each(() => ({ read: 0, readBytes: 0, staged: 0, files: 0 }));
  let bytes = 0;
  let rowsEstimated = 0;
  let scratchFiles = 0;
  const stagedRows = (): Record<BatchTable, number> => Object.fromEntries(batchTables.map((table) => [table, tables[table].staged])) as Record<BatchTable, number>;

  return {
    estimate: (rows: Record<BatchTable, number>): void => {
      rowsEstimated = Object.values(rows).reduce((sum, one) => sum + one, 0);
    },
    /** How many rows the next query of this table may read, by the size of those it has read. */
    rowsMax: (table: BatchTable): number => {
      const { read, readBytes } = tables[table];
      return read === 0 ? Math.min(pageRows, firstPageRows) : Math.max(1, Math.min(pageRows, Math.floor((pageBytes * read) / readBytes)));
    },
    read: (table: BatchTable, rows: number, csvBytes: number): void => {
      tables[table].read += rows;
      tables[table].readBytes += csvBytes;
    },
    nextScratch: (): string => `page-${scratchFiles++}.csv`,
    nextFile: (table: BatchTable): string => `${table}-${String(tables[table].files++).padStart(5, '0')}.parquet`,
    staged: (table: BatchTable, rows: number, fileBytes: number): void => {
      tables[table].staged += rows;
      bytes += fileBytes;
    },
    isEmpty: (table: BatchTable): boolean => tables[table].files === 0,
    progress: (): ExtractProgress => ({ rows: stagedRows(), rowsEstimated }),
    /** Error `batch_inexact` when DuckDB read other rows from the pages than PostgreSQL wrote. */
    result: (): ExtractResult => {
      for (const table of batchTables) {
        const { read, staged } = tables[table];
        if (read !== staged) throw new PipelineError('batch_inexact', `Of ${read} rows of ${table} ${staged} were staged: the page format is not read as it is written`);
      }
      return { rows: stagedRows(), bytes, files: batchTables.reduce((sum, table) => sum + tables[table].files, 0) };
    },
  };
}
