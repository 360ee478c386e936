/**
 * The only importer of DuckDB: an in-memory database that spills to disk, spoken to in SQL and rows. Failures leave as
 * PipelineError by DuckDB's class of error; a text that may quote a value of a row is withheld, rows hold personal data.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance, type DuckDBValueConverter } from '@duckdb/node-api';
import { PipelineError } from '../domain/errors.ts';

export interface DuckDbOptions {
  /** Folder for what does not fit into memory; made when it is missing. */
  dir: string;
  /** What tables, joins and sorts may hold before they spill; the process needs some more. */
  memoryMb: number;
  threads: number;
}

/** Integers of any width are bigint. Other types are to be cast in SQL. */
export type Cell = bigint | number | string | boolean | null;

/** One connection: temporary tables, views, macros and variables stay until `close`. Statements run one after another. */
export interface DuckDb {
  /** Runs statements, in order. An aborted `signal` interrupts the one that runs; then its reason is thrown, here and below. */
  run(sql: string, signal?: AbortSignal): Promise<void>;
  /** All rows of the last statement. */
  rows<T extends object>(sql: string, signal?: AbortSignal): Promise<T[]>;
  /** The rows in batches of at most 2048, computed as they are asked for. No other statement may run meanwhile. */
  batches<T extends object>(sql: string, signal?: AbortSignal): AsyncGenerator<T[]>;
  /** Interrupts what runs, waits until it has ended, and gives everything back. */
  close(): Promise<void>;
}

/** A text as SQL literal. */
export const sqlText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** These Parquet files as a table; `*`, `?` and `[` in a path mean themselves. */
export const parquetSql = (paths: string[]): string => `read_parquet([${paths.map((path) => sqlText(path.replace(/[*?[]/g, '[$&]'))).join(', ')}])`;

export async function openDuckDb(options: DuckDbOptions): Promise<DuckDb> {
  const { instance, connection } = await open(options);
  const closed = new AbortController();
  const running = new Set<Promise<unknown>>();

  const ask = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> => {
    const stop = signal ? AbortSignal.any([signal, closed.signal]) : closed.signal;
    const asked = interruptible(connection, stop, work);
    running.add(asked);
    try {
      return await asked;
    } catch (error) {
      throw stop.aborted ? (stop.reason as Error) : translate(error, options);
    } finally {
      running.delete(asked);
    }
  };

  return {
    run: async (sql, signal) => void (await ask(signal, () => connection.run(sql))),
    rows: async <T extends object>(sql: string, signal?: AbortSignal) =>
      (await ask(signal, async () => (await connection.run(sql)).convertRowObjects(toCell))) as T[],
    async *batches<T extends object>(sql: string, signal?: AbortSignal) {
      const result = await ask(signal, () => connection.stream(sql));
      const names = result.columnNames();
      for (;;) {
        const chunk = await ask(signal, () => result.fetchChunk());
        if (!chunk || chunk.rowCount === 0) return;
        yield rowsOf(names, chunk.convertColumns(toCell)) as T[];
      }
    },
    async close() {
      closed.abort(new PipelineError('duckdb_refused', 'DuckDB was closed.'));
      await Promise.allSettled(running);
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function open({ dir, memoryMb, threads }: DuckDbOptions): Promise<{ instance: DuckDBInstance; connection: DuckDBConnection }> {
  const spillDir = join(dir, 'spill');
  await mkdir(spillDir, { recursive: true });
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${memoryMb}MiB`,
    temp_directory: spillDir,
    threads: String(threads),
    // Nothing that is read or written here has an order, except where SQL says ORDER BY.
    preserve_insertion_order: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
  const connection = await instance.connect();
  await connection.run(`SET TimeZone = 'UTC'`);
  return { instance, connection };
}

/** Column by column: the driver reads a value of a row several times slower than one of a column. */
const rowsOf = (names: string[], columns: Cell[][]): object[] =>
  (columns[0] ?? []).map((_, row) => Object.fromEntries(names.map((name, column) => [name, columns[column]![row]])));

const interruptAgainMs = 20;

/** DuckDB forgets an interrupt that comes between two steps of a statement, so it is repeated until `work` has ended. */
async function interruptible<T>(connection: DuckDBConnection, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let again: NodeJS.Timeout | undefined;
  const interrupt = (): void => {
    connection.interrupt();
    again = setInterval(() => connection.interrupt(), interruptAgainMs);
  };
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', interrupt);
    clearInterval(again);
  }
}

const toCell: DuckDBValueConverter<Cell> = (value, type) => {
  if (typeof value === 'number') return /INT/.test(type.toString()) ? BigInt(value) : value;
  if (value === null || typeof value !== 'object') return value;
  throw new PipelineError('duckdb_refused', `A column of type ${type.toString()} is not read as it is: cast it to VARCHAR.`);
};

/** Classes whose text names tables, columns, files and settings, never a value of a row. */
const telling = ['Binder', 'Catalog', 'Parser', 'Permission', 'Not implemented', 'Dependency'];

/** The driver's error is not kept as cause: it may quote a row. Its second paragraph quotes the statement. */
function translate(error: unknown, { dir, memoryMb }: DuckDbOptions): Error {
  if (error instanceof PipelineError || error instanceof TypeError) return error;
  const [, kind = 'unknown', text = ''] = /^(.+?) Error: (.*)/.exec(error instanceof Error ? error.message : String(error)) ?? [];
  const details = { kind };
  if (kind === 'Out of Memory') {
    return new PipelineError('duckdb_out_of_memory', `DuckDB has not enough with ${memoryMb} MiB (BATCH_MEMORY_MB) and the free disk under ${dir}: ${text}`, { details });
  }
  if (kind === 'IO') return new PipelineError('duckdb_disk', `DuckDB cannot read or write a file (is the disk under ${dir} full?): ${text}`, { details });
  const reason = telling.includes(kind) ? text : 'its text is withheld, it may quote a row';
  return new PipelineError('duckdb_refused', `DuckDB refused a statement (${kind} Error): ${reason}`, { details });
}
