/**
 * Claim check: the files a batch step hands to the next one, in sets named `<runId>/<attempt>/<what>`.
 * Invariant: a set is sealed last, so what `fetch` brings is whole or it fails with `staging_lost`.
 */
import { PipelineError } from '../domain/errors.ts';

export interface Staging {
  /** Takes a local file into a set; the file is gone afterwards. Safe to call again with the same content. */
  put(set: string, name: string, path: string): Promise<void>;
  /** Ends a set: writes its manifest (names, sizes). A set without one is not whole. */
  seal(set: string): Promise<void>;
  /** Brings every file of a sealed set into the folder `into`. Error `staging_lost` when it is not there whole. */
  fetch(set: string, into: string): Promise<void>;
  /** Removes all sets of a run (prefix `<runId>/`), sealed or not. Safe to call again. */
  drop(runId: string): Promise<void>;
}

/** File → bytes. */
export type Manifest = Record<string, number>;

const runShape = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/;
const setShape = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\/[A-Za-z0-9_-]{1,50}\/[A-Za-z0-9_-]{1,50}$/;
const fileShape = /^[a-z0-9_]+(-[0-9]+)?\.parquet$/;

/** Names become keys and paths: they lead nowhere else. Returns the run of the set. */
export function runOf(set: string, file?: string): string {
  if (!setShape.test(set) || (file !== undefined && !fileShape.test(file))) {
    throw new PipelineError('bad_argument', `${set}${file === undefined ? '' : `, ${file}`}: a set is <run>/<attempt>/<what>, a file <table>-<number>.parquet`);
  }
  return set.slice(0, set.indexOf('/'));
}

export function checkRun(runId: string): void {
  if (!runShape.test(runId)) throw new PipelineError('bad_argument', `${runId} is not a run id`);
}

export const lost = (set: string, why: string): PipelineError =>
  new PipelineError('staging_lost', `The staged set ${set} is not there whole (${why}): it has to be extracted again`, { details: { set } });

/** A failure of the file system, as one of ours. */
export function refused(error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof PipelineError || code === undefined) return error;
  return new PipelineError('staging_refused', `A file cannot be staged (${syscall} ${code}): free the disk or check BATCH_STAGING_DIR and its owner`, { details: { code, syscall } });
}
