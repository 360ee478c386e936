/**
 * The worker's part of a batch run as a process of its own, without Temporal: the steps of src/activities/batch.ts, each with
 * a DuckDB and a folder of its own, over connections like the worker's. Takes one step at a time over its channel; ends with it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { access } from '../../src/access.ts';
import { openDuckDb, parquetSql, type DuckDb } from '../../src/adapters/duckdb.ts';
import { connectPostgres } from '../../src/adapters/postgres.ts';
import { connectRedis } from '../../src/adapters/redis.ts';
import { extract } from '../../src/batch/extract.ts';
import { isLatest, lastGoodRows, loadTable, publish, type BatchRecord, type Publication } from '../../src/batch/publish.ts';
import { checkQuality } from '../../src/batch/quality.ts';
import { createRedisStaging } from '../../src/batch/redis-staging.ts';
import { transform, type TransformResult } from '../../src/batch/transform.ts';
import { loadSettings } from '../../src/config.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { layoutOf } from '../../src/stack/project.ts';
import { recordTables, type RowCounts } from '../../src/workflows/batch-contract.ts';
import type { Stage, StageDone, StageTask } from './batch-task.ts';
import { shopWindow as window } from './shop.ts';

const settings = loadSettings();
const keys = createKeys(settings.REDIS_KEY_PREFIX);
const redis = connectRedis({ ...access.replica(settings), name: 'bench-worker', failFast: true });
const staging = createRedisStaging({ redis, keys, ttlMs: settings.BATCH_STAGING_TTL_HOURS * 3_600_000, bytesMax: settings.BATCH_STAGING_BYTES_MAX });
const publication: Publication = { redis, keys, supersededMs: settings.BATCH_KEEP_SECONDS * 1000, keptMs: settings.BATCH_BACKFILL_KEEP_HOURS * 3_600_000 };
const { signal } = new AbortController();

interface Work {
  task: StageTask;
  duck: DuckDb;
  dir: string;
}

/** What the workflow would carry from step to step. */
const run: { startedMs: number; rows: RowCounts | null; insights: TransformResult | null; durations: Record<string, number> } = { startedMs: 0, rows: null, insights: null, durations: {} };
const sourceSet = (runId: string): string => `${runId}/1-1/source`;
const recordsSet = (runId: string): string => `${runId}/1-1/records-1`;

const steps: Record<Stage, (work: Work) => Promise<Record<string, unknown>>> = {
  extract: async ({ task: { runId, database }, duck, dir }) => {
    Object.assign(run, { startedMs: Date.now(), rows: null, insights: null, durations: {} });
    await staging.drop(runId);
    const { BATCH_EXTRACT_READERS: readers, BATCH_PAGE_ROWS: pageRows, BATCH_PAGE_BYTES: pageBytes } = settings;
    const db = connectPostgres({ ...access.batchReader(settings), database, name: 'bench-worker' });
    const done = await extract({ db, duck, staging, set: sourceSet(runId), scratchDir: dir, readers, pageRows, pageBytes, signal });
    await db.close();
    run.rows = done.rows;
    return { ...done };
  },
  quality: async ({ task: { runId }, duck, dir }) => {
    await staging.fetch(sourceSet(runId), dir);
    const before = await lastGoodRows(publication);
    const isOther = before?.orders !== run.rows?.orders; // of the other shop: a drift that no run of its own has
    const judged = await checkQuality({ db: duck, sourceDir: dir, window, lastGoodRows: isOther ? null : before, signal });
    return { ...judged };
  },
  transform: async ({ task: { runId }, duck, dir }) => {
    const [sourceDir, outDir] = [join(dir, 'source'), join(dir, 'records')];
    await staging.fetch(sourceSet(runId), sourceDir);
    run.insights = await transform({ db: duck, sourceDir, outDir, window, signal });
    for (const table of recordTables) await staging.put(recordsSet(runId), `${table}.parquet`, join(outDir, `${table}.parquet`));
    await staging.seal(recordsSet(runId));
    return run.insights.records_processed;
  },
  load: async ({ task: { runId }, duck, dir }) => {
    await staging.fetch(recordsSet(runId), dir);
    for (const table of recordTables) {
      await loadTable(publication, table, runId, duck.batches<BatchRecord>(`SELECT id, record FROM ${parquetSql([join(dir, `${table}.parquet`)])}`, signal), () => undefined);
    }
    const { startedMs, rows, insights, durations } = run;
    const published = await publish(publication, { runId, window, publish: 'latest', startedMs, rows, quality: null, durations }, insights!, Date.now());
    return { published, isLatest: await isLatest(publication, runId) };
  },
  drop: async ({ task: { runId } }) => {
    await staging.drop(runId);
    return {};
  },
};

async function act(task: StageTask): Promise<StageDone> {
  const startMs = performance.now();
  const dir = join(layoutOf(settings.SLUICE_DATA_DIR).scratch, `${task.runId}-${task.stage}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const duck = await openDuckDb({ dir, memoryMb: settings.BATCH_MEMORY_MB, threads: Math.min(4, availableParallelism()) });
  const found = await steps[task.stage]({ task, duck, dir });
  await duck.close();
  await rm(dir, { recursive: true, force: true });
  const seconds = (performance.now() - startMs) / 1000;
  run.durations[task.stage] = seconds;
  return { seconds, found };
}

/** A step that fails ends this process, its error on standard error. */
async function answer(task: StageTask): Promise<void> {
  process.send!(await act(task));
}

process.on('message', (task: StageTask) => void answer(task));
process.on('disconnect', () => process.exit(0));
await redis.ping();
process.send!('ready');
