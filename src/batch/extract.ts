/**
 * Extraction: every row of the four tables, as of one moment, into a sealed staging set. Parallel readers share one exported
 * snapshot and walk ranges of ids page by page; a page goes from COPY through a scratch file to Parquet and never into our memory.
 * Invariant: a set is sealed only when every row that PostgreSQL counted was staged.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDb } from '../adapters/duckdb.ts';
import type { Database, SnapshotReader } from '../adapters/postgres.ts';
import { batchTables } from '../domain/batch-staging.ts';
import { createCsvPages } from './csv-pages.ts';
import { type KeyRange, planExtraction, readShapes } from './extract-plan.ts';
import { createTally, type ExtractProgress, type ExtractResult, type ExtractTally } from './extract-tally.ts';
import { createPageStager, type PageStager, stageEmpty } from './page-stager.ts';
import type { Staging } from './staging.ts';

export interface ExtractOptions {
  /** As sluice_reader; its pool has a connection for each reader and one more. */
  db: Database;
  duck: DuckDb;
  staging: Staging;
  set: string;
  /** Made when it is missing; nothing is left in it. */
  scratchDir: string;
  readers: number;
  /** Most rows of a query. */
  pageRows: number;
  /** Most bytes of a CSV page. */
  pageBytes: number;
  /** Name of an exported snapshot to extract instead of this moment; whoever exported it should hold locks on the tables. */
  snapshot?: string;
  /** Ends the queries on the server; its reason is thrown. */
  signal: AbortSignal;
  /** Called every second. */
  onProgress?: (progress: ExtractProgress) => void;
}

const progressEveryMs = 1000;

/**
 * Errors: `batch_schema` (a column that cannot be read), `staging_full`, and what PostgreSQL, DuckDB and the store say.
 * To be called again with a new set: what a failed call has staged is not sealed, and goes when its run is dropped.
 */
export async function extract(options: ExtractOptions): Promise<ExtractResult> {
  const { db, scratchDir, set, staging, onProgress } = options;
  const tally = createTally(options);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  signal.throwIfAborted();
  await readShapes(db); // a missing table is named here; to the lock below it is a syntax error
  await mkdir(scratchDir, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(scratchDir, 'extract-'));
  const progress = setInterval(() => onProgress?.(tally.progress()), progressEveryMs);
  try {
    await extractTables({ ...options, scratch, tally, signal, stop });
    const result = tally.result();
    await staging.seal(set);
    onProgress?.(tally.progress());
    return result;
  } finally {
    clearInterval(progress);
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Extraction extends ExtractOptions {
  scratch: string;
  tally: ExtractTally;
  /** Ends all readers when one has failed. */
  stop: AbortController;
}

function extractTables(extraction: Extraction): Promise<void> {
  const { db, readers, pageRows, signal, tally, snapshot } = extraction;
  const shared = { tables: batchTables, signal };
  const lead = async (tx: SnapshotReader): Promise<void> => {
    const plan = await planExtraction(tx, { readers, pageRows });
    tally.estimate(plan.rowsEstimated);
    const join = snapshot ?? (await tx.exportSnapshot());
    const queue = plan.ranges[Symbol.iterator]();
    const reading = Array.from({ length: Math.min(readers, plan.ranges.length) }, () => db.snapshot((reader) => readRanges(reader, queue, extraction), { ...shared, join }));
    await allOrStop(reading, extraction.stop);
    for (const shape of plan.shapes) if (tally.isEmpty(shape.table)) await stageEmpty(extraction, shape);
  };
  return db.snapshot(lead, snapshot === undefined ? shared : { ...shared, join: snapshot });
}

/** The first failure ends the others; it is told when all have ended. */
async function allOrStop(works: Promise<void>[], stop: AbortController): Promise<void> {
  for (const work of works) work.catch((error: unknown) => stop.abort(error));
  await Promise.allSettled(works);
  if (stop.signal.aborted) throw stop.signal.reason;
}

/** Takes ranges from the queue that all readers share. */
async function readRanges(reader: SnapshotReader, queue: Iterator<KeyRange>, extraction: Extraction): Promise<void> {
  const stager = createPageStager(extraction);
  try {
    for (let next = queue.next(); !next.done; next = queue.next()) await readRange(reader, next.value, stager, extraction);
  } finally {
    await stager.settled();
  }
}

async function readRange(reader: SnapshotReader, { shape, ids }: KeyRange, stager: PageStager, extraction: Extraction): Promise<void> {
  const { tally } = extraction;
  const rowsOf = `SELECT ${shape.select} FROM public.${shape.table} WHERE`;
  if (!ids) return void (await copyPage(reader, `${rowsOf} id IS NULL`, { shape, ids }, stager, extraction));
  for (let { from } = ids; from <= ids.upto; ) {
    const rowsMax = tally.rowsMax(shape.table);
    // Ties: where ids repeat, all rows of the last id belong to this page, and the next begins behind it.
    const page = `${rowsOf} id BETWEEN '${from}'::bigint AND '${ids.upto}'::bigint ORDER BY id FETCH FIRST ${rowsMax} ROWS WITH TIES`;
    const { rows, lastId } = await copyPage(reader, page, { shape, ids }, stager, extraction);
    if (rows < rowsMax || lastId === null) return;
    from = BigInt(lastId) + 1n;
  }
}

async function copyPage(reader: SnapshotReader, select: string, { shape }: KeyRange, stager: PageStager, { scratch, tally, pageBytes }: Extraction): Promise<{ rows: number; lastId: string | null }> {
  let bytes = 0;
  const pages = createCsvPages(pageBytes, () => join(scratch, tally.nextScratch()), (csv) => {
    bytes += csv.bytes;
    return stager.add(shape, csv);
  });
  try {
    const rows = await reader.copyCsv(select, shape.values, pages.take);
    const lastId = await pages.end();
    tally.read(shape.table, rows, bytes);
    return { rows, lastId };
  } finally {
    await pages.abandon();
  }
}
