/**
 * Compares a batch run with the same records made by PostgreSQL alone, from one and the same snapshot: the shop may go on meanwhile.
 * Shares nothing with the engine but the names of keys.
 */
import { readFileSync } from 'node:fs';
import type { Database, Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { compareRow, type RowDifference } from './compare.ts';
import { sourceTables } from './source.ts';

export interface BatchVerifyDeps {
  db: Database;
  redis: RedisStore;
  keys: Keys;
  window: { start: string; end: string };
  /** Runs the batch over an exported snapshot without publishing it; its run id. */
  runBatch: (snapshot: string) => Promise<string>;
}

export interface BatchReport {
  ok: boolean;
  runId: string;
  window: { start: string; end: string };
  checked: Record<string, number>;
  differences: RowDifference[];
  /** What is wrong with the run that `latest` leads to; empty when nothing is, or when there is none yet. */
  latest: string;
}

const tables = ['customers', 'products', 'orders'] as const;
const sqlOf = Object.fromEntries(tables.map((table) => [table, readFileSync(new URL(`../../sql/verify/batch-${table}.sql`, import.meta.url), 'utf8')]));
const pageRows = 1000;
const differencesMost = 1000;
const timeColumns = [{ name: 'last_order_date', type: 'timestamp' }];

/** Errors: those of the servers, and of the batch run. */
export async function verifyBatch(deps: BatchVerifyDeps, tell: (step: string, checked: number) => void): Promise<BatchReport> {
  const { db, window, runBatch } = deps;
  const latest = await judgeLatest(deps);
  return db.snapshot(async (source) => {
    const [exported] = await source.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot');
    tell('the batch', 0);
    const runId = await runBatch(exported!.snapshot);
    const report: BatchReport = { ok: false, runId, window, checked: {}, differences: [], latest };
    for (const table of tables) {
      const checked = await compareTable(deps, source, table, report, (count) => tell(table, count));
      report.checked[table] = checked;
    }
    return { ...report, ok: report.differences.length === 0 && latest === '' };
  }, { tables: sourceTables.map(({ table }) => table) }); // locked: to a TRUNCATE or a rewriting ALTER meanwhile no snapshot is an answer
}

async function compareTable({ redis, keys, window }: BatchVerifyDeps, source: Queryable, table: (typeof tables)[number], report: BatchReport, tell: (checked: number) => void): Promise<number> {
  const key = keys.batchRecords(table, report.runId);
  const sql = sqlOf[table]!.replaceAll('$1', `'${window.end}'`).replaceAll('$2', `'${window.start}'`);
  await source.query(`DECLARE records NO SCROLL CURSOR FOR SELECT id, record::text AS record FROM (${sql}) AS made`);
  let checked = 0;
  for (;;) {
    const rows = await source.query<{ id: string; record: string }>(`FETCH ${pageRows} FROM records`);
    if (rows.length === 0 || report.differences.length >= differencesMost) break;
    const found = await redis.fields(key, rows.map(({ id }) => id));
    for (const [at, { id, record }] of rows.entries()) report.differences.push(...compareRow(`${key} ${id}`, timeColumns, record, found[at] ?? null));
    checked += rows.length;
    tell(checked);
  }
  await source.query('CLOSE records');
  const [summary] = await redis.strings([keys.batchSummary(report.runId)]);
  if (!summary) throw new PipelineError('staging_lost', `The records of the run to be compared are gone from Redis already: raise BATCH_KEEP_SECONDS, and run sluice verify --batch again`);
  const size = await redis.size(key);
  if (size !== checked && report.differences.length < differencesMost) report.differences.push({ key, column: '(records)', expected: String(checked), found: String(size) });
  return checked;
}

/** The pointers lead to one run, and that run is whole. */
async function judgeLatest({ redis, keys }: BatchVerifyDeps): Promise<string> {
  const runs = await redis.strings(tables.map((table) => keys.batchLatest(table)));
  const [runId] = runs;
  if (runs.every((run) => run === null)) return '';
  if (!runId || runs.some((run) => run !== runId)) return `the latest pointers lead to different runs: ${runs.join(', ')}`;
  const [summary] = await redis.strings([keys.batchSummary(runId)]);
  if (summary === null || summary === undefined) return `the latest run ${runId} has no summary`;
  const processed = (JSON.parse(summary) as { records_processed?: Record<string, number> }).records_processed ?? {};
  for (const table of tables) {
    const size = await redis.size(keys.batchRecords(table, runId));
    if (size !== processed[table]) return `the latest run ${runId} has ${size} ${table} and says ${processed[table]}`;
  }
  return '';
}

export function formatBatchReport({ ok, runId, window, checked, differences, latest }: BatchReport): string {
  return [
    `run ${runId}, window ${window.start} – ${window.end}: ${Object.entries(checked).map(([table, count]) => `${count} ${table}`).join(', ')} checked, ${differences.length} differ`,
    ...differences.slice(0, 20).map(({ key, column, expected, found }) => `${key}  ${column}: expected ${expected}, found ${found}`),
    ...(latest ? [latest] : []),
    ok ? 'The batch equals PostgreSQL.' : 'The batch DIFFERS from PostgreSQL.',
  ].join('\n');
}
