/**
 * What becomes of the CSV pages of one reader: Parquet, then the staging area, while the reader goes on with the next page.
 * Invariant: at most one page is in work, so scratch files and memory stay bounded; a file that was taken over is gone afterwards.
 */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDb } from '../adapters/duckdb.ts';
import type { CsvFile } from './csv-pages.ts';
import type { ExtractTally } from './extract-tally.ts';
import { convertPage, emptyPage, type PageShape } from './page-shape.ts';
import type { Staging } from './staging.ts';

export interface StagerDeps {
  duck: DuckDb;
  staging: Staging;
  set: string;
  scratch: string;
  tally: ExtractTally;
  signal: AbortSignal;
}

export interface PageStager {
  /** Takes a page over; resolves when the one before it is done, and tells that one's failure. */
  add: (shape: PageShape, csv: CsvFile) => Promise<void>;
  /** Resolves when nothing is in work any more. */
  settled: () => Promise<void>;
}

export function createPageStager(deps: StagerDeps): PageStager {
  let inWork: Promise<void> = Promise.resolve();
  return {
    add: async (shape, csv) => {
      await inWork;
      inWork = stagePage(deps, shape, csv);
      inWork.catch(() => undefined); // told by whoever waits for it next
    },
    settled: () => inWork,
  };
}

async function stagePage(deps: StagerDeps, shape: PageShape, csv: CsvFile): Promise<void> {
  const name = deps.tally.nextFile(shape.table);
  const parquet = join(deps.scratch, name);
  const [done] = await deps.duck.rows<{ Count: bigint }>(convertPage(shape, csv, parquet), deps.signal);
  await rm(csv.path);
  await stageFile(deps, shape, name, Number(done?.Count ?? 0));
}

/** A table without rows has one page all the same: whoever reads the set finds its columns. */
export async function stageEmpty(deps: StagerDeps, shape: PageShape): Promise<void> {
  const name = deps.tally.nextFile(shape.table);
  await deps.duck.run(emptyPage(shape, join(deps.scratch, name)), deps.signal);
  await stageFile(deps, shape, name, 0);
}

async function stageFile({ staging, set, scratch, tally, signal }: StagerDeps, { table }: PageShape, name: string, rows: number): Promise<void> {
  const path = join(scratch, name);
  const { size } = await stat(path);
  signal.throwIfAborted();
  await orAborted(staging.put(set, name, path), signal);
  tally.staged(table, rows, size);
}

/** A store that is away may keep a command for ever; whoever cancels a batch does not wait for it. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => (abort = () => reject(signal.reason as Error)));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
