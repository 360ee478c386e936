/**
 * The steps of a batch run. Each works in a scratch folder of its own that is gone afterwards, and hands over by staging.
 * Invariant: a step that is repeated starts from what the step before it has staged, and leaves the same.
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { openDuckDb, parquetSql, type DuckDb } from '../adapters/duckdb.ts';
import { snapshotGone, type Database } from '../adapters/postgres.ts';
import { extract } from '../batch/extract.ts';
import { tellFailure, tellPublished, type FailureAlertDeps } from '../batch/failure-alert.ts';
import { dropLoaded, isLatest, lastGoodRows, loadTable, publish, recordFailure, type BatchRecord, type Publication } from '../batch/publish.ts';
import { checkQuality } from '../batch/quality.ts';
import { lost, type Staging } from '../batch/staging.ts';
import { insightsFile, readInsights, transform } from '../batch/transform.ts';
import { inspectWindows, type WindowDeps } from '../batch/windows.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Failpoint } from '../telemetry/failpoint.ts';
import { recordTables, type BackfillActivities, type BatchActivities } from '../workflows/batch-contract.ts';
import { whileBeating } from './while-beating.ts';

export interface BatchDeps extends Publication, WindowDeps, FailureAlertDeps {
  redis: Publication['redis'];
  /** The source, or a read replica of it: connections of one extraction, a reader's each and one more. */
  connectSource: () => Database;
  staging: Staging;
  /** Emptied when the worker starts. */
  scratchDir: string;
  memoryMb: number;
  threads: number;
  readers: number;
  pageRows: number;
  pageBytes: number;
  /** The schedule is paused after so many failures in a row. */
  failuresMost: number;
  pause: (note: string) => Promise<void>;
  failpoint: Failpoint;
}

interface Work {
  duck: DuckDb;
  dir: string;
  signal: AbortSignal;
  /** Told to Temporal with the next heartbeat. */
  progress: (details: unknown) => void;
}

export function createBatchActivities(deps: BatchDeps): BatchActivities & BackfillActivities {
  const { staging } = deps;
  return {
    extractTables: (input) => inScratch(deps, (on) => extractTables(deps, on, input)),
    checkQuality: ({ set, window, acceptLoss }) =>
      inScratch(deps, async ({ duck, dir, signal }) => {
        await staging.fetch(set, dir);
        deps.failpoint('batch.quality');
        return checkQuality({ db: duck, sourceDir: dir, window, lastGoodRows: acceptLoss ? null : await lastGoodRows(deps), signal });
      }),
    transformTables: (input) => inScratch(deps, (on) => transformTables(deps, on, input)),
    loadRecords: (input) => inScratch(deps, (on) => loadRecords(deps, on, input)),
    recordFailure: async (report, { verdict, why }, isScheduled) => {
      await staging.drop(report.runId); // of a blocked run: one orphan blocks every run that follows, not a copy of the shop for each
      const { runs, since } = await recordFailure(deps, report, why, isScheduled);
      if (isScheduled && since !== null) await tellFailure(deps, report, verdict, { runs, since });
      return runs;
    },
    pauseSchedule: async (failures, why) => {
      if (failures < deps.failuresMost) return;
      await deps.pause(`Paused by Sluice after ${failures} failed runs in a row. The last: ${why}. Once that is mended: npx sluice batch resume`);
    },
    inspectWindows: (windows) => inspectWindows(deps, windows),
    dropRun: async (runId, isPublished) => {
      await staging.drop(runId);
      if (!isPublished) await dropLoaded(deps, runId);
    },
  };
}

type Input<Step extends keyof BatchActivities> = Parameters<BatchActivities[Step]>[0];

/** What an attempt before this one has staged is dropped: it was another moment. */
async function extractTables({ staging, connectSource, failpoint, readers, pageRows, pageBytes }: BatchDeps, { duck, dir, signal, progress }: Work, { runId, round, snapshot }: Input<'extractTables'>) {
  await staging.drop(runId);
  const set = `${runId}/${round}-${Context.current().info.attempt}/source`;
  const failing: Staging = {
    ...staging,
    put: async (...file) => {
      await staging.put(...file);
      failpoint('batch.extract');
    },
  };
  const db = connectSource();
  try {
    const done = await extract({ db, duck, staging: failing, set, scratchDir: dir, readers, pageRows, pageBytes, signal, onProgress: progress, ...(snapshot !== null && { snapshot }) });
    return { set, ...done };
  } catch (error) {
    throw signal.aborted ? error : hopeless(error, snapshot !== null) ?? error;
  } finally {
    await db.close();
  }
}

/** What time does not heal, although for others it would. */
function hopeless(error: unknown, isJoining: boolean): PipelineError | null {
  const sqlstate = error instanceof PipelineError ? error.details['sqlstate'] : undefined;
  if (sqlstate === '57014') return new PipelineError('source_refused', 'A statement of the extraction took longer than BATCH_STATEMENT_TIMEOUT_SECONDS: raise it, or lower BATCH_PAGE_ROWS', { cause: error });
  if (!isJoining || typeof sqlstate !== 'string' || !['55P03', ...snapshotGone].includes(sqlstate)) return null;
  return new PipelineError('source_refused', 'The snapshot that was to be read cannot be joined any more: its transaction has ended, or a table is about to be altered', { cause: error });
}

async function transformTables({ staging, failpoint }: BatchDeps, { duck, dir, signal }: Work, { set, window }: Input<'transformTables'>) {
  const [sourceDir, outDir] = [join(dir, 'source'), join(dir, 'records')];
  await staging.fetch(set, sourceDir);
  failpoint('batch.transform');
  const { records_processed } = await transform({ db: duck, sourceDir, outDir, window, signal });
  const records = set.replace(/[^/]*$/, `records-${Context.current().info.attempt}`);
  for (const file of [...recordTables.map((table) => `${table}.parquet`), insightsFile]) await staging.put(records, file, join(outDir, file));
  await staging.seal(records);
  return { set: records, insights: { records_processed } };
}

async function loadRecords(deps: BatchDeps, { duck, dir, signal, progress }: Work, { set, report }: Input<'loadRecords'>) {
  await deps.staging.fetch(set, dir);
  if (!existsSync(join(dir, insightsFile))) throw lost(set, 'an earlier release has staged it');
  const insights = await readInsights(duck, dir, signal);
  for (const table of recordTables) {
    const records = duck.batches<BatchRecord>(`SELECT id, record FROM ${parquetSql([join(dir, `${table}.parquet`)])}`, signal);
    await loadTable(deps, table, report.runId, records, (written) => {
      deps.failpoint('batch.load');
      progress({ table, written });
    });
  }
  const published = await publish(deps, report, insights, Date.now());
  if (published === 'incomplete') throw new PipelineError('redis_unavailable', 'Redis lost records of this run while they were loaded: loading them again');
  deps.failpoint('batch.published');
  const latest = await isLatest(deps, report.runId);
  if (latest) await tellPublished(deps);
  return { records: Object.values(insights.records_processed).reduce((sum, count) => sum + count, 0), isLatest: latest };
}

/** Runs one step with a DuckDB and a folder of its own, with heartbeats, until it ends or is cancelled. Adds the seconds it took. */
async function inScratch<T extends object>({ scratchDir, memoryMb, threads }: BatchDeps, work: (on: Work) => Promise<T>): Promise<T & { seconds: number }> {
  const context = Context.current();
  const startMs = performance.now();
  const { activityId, attempt, workflowExecution } = context.info;
  const dir = join(scratchDir, `${workflowExecution?.runId}-${activityId}-${attempt}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let duck: DuckDb | undefined;
  try {
    const result = await whileBeating(async (progress) => {
      duck = await openDuckDb({ dir, memoryMb, threads });
      return work({ duck, dir, signal: context.cancellationSignal, progress });
    });
    return { ...result, seconds: Math.round(performance.now() - startMs) / 1000 };
  } catch (error) {
    if (context.cancellationSignal.aborted) await context.cancelled; // rejects with what Temporal expects of a cancelled activity
    throw error;
  } finally {
    await duck?.close();
    await rm(dir, { recursive: true, force: true });
  }
}
