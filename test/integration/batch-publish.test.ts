/**
 * Goal: what a batch run leaves in Redis is whole or not there; pointers flip together and never back; a run is counted once.
 * Method: the loader and the real scripts on a real Redis, under a key prefix, runs published in every order that matters.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Redis } from 'ioredis';
import { tellFailure, tellPublished, type FailureAlertDeps } from '../../src/batch/failure-alert.ts';
import { dropLoaded, lastGoodRows, loadTable, publish, recordFailure, type BatchRecord, type Publication, type Published } from '../../src/batch/publish.ts';
import type { PipelineError } from '../../src/domain/errors.ts';
import { alertIdOf } from '../../src/domain/alert.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { recordTables, type BatchPublish, type RunReport } from '../../src/workflows/batch-contract.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const prefix = '{test}:';
const keys = createKeys(prefix);
let redis: TestRedis;
let raw: Redis;
let to: Publication;

before(async () => {
  redis = await startRedis(prefix);
  raw = new Redis({ port: redis.port, host: '127.0.0.1', password: redis.password.reveal() });
  to = { redis: redis.store, keys, supersededMs: 60_000, keptMs: 3_600_000 };
});
after(async () => {
  raw.disconnect();
  await redis.stop();
});
beforeEach(() => raw.flushall());

const rows = { customers: 3, products: 3, orders: 3, order_items: 3 };
const reportOf = (runId: string, end: string, mode: BatchPublish): RunReport => ({
  runId,
  window: { start: '2026-01-01T00:00:00Z', end },
  publish: mode,
  startedMs: 1000,
  rows,
  quality: { verdict: 'pass', findings: [], passed: 9, seconds: 1 },
  durations: { extract: 1 },
});
async function* pages(runId: string, count: number): AsyncGenerator<BatchRecord[]> {
  for (let at = 0; at < count; at += 700) yield Array.from({ length: Math.min(700, count - at) }, (_, i) => ({ id: String(at + i), record: JSON.stringify({ run: runId, text: 'x'.repeat(50) }) }));
}
async function load(runId: string, count = 1500): Promise<void> {
  for (const table of recordTables) await loadTable(to, table, runId, pages(runId, count), () => undefined);
}
const flip = (report: RunReport, count = 1500): Promise<Published> => publish(to, report, { records_processed: { customers: count, products: count, orders: count } }, 3500);
async function run(runId: string, end: string, mode: BatchPublish = 'latest'): Promise<Published> {
  await load(runId);
  return flip(reportOf(runId, end, mode));
}
const latest = (): Promise<(string | null)[]> => redis.store.strings(recordTables.map((table) => keys.batchLatest(table)));
const windowOf = (end: string): Promise<(string | null)[]> => redis.store.strings(recordTables.map((table) => keys.batchWindow(table, end)));
const thrice = <T>(value: T): T[] => [value, value, value];
const day = (n: number): string => `2026-11-${String(n).padStart(2, '0')}T00:00:00Z`;

test('a whole run is published with its summary; what it took the place of expires, pointers of its window with it', async () => {
  assert.equal(await run('a', day(1)), 'latest');
  assert.deepEqual([await latest(), await windowOf(day(1))], [thrice('a'), thrice('a')]);
  assert.equal(await raw.pttl(keys.batchRecords('customers', 'a')), -1);
  const summary = JSON.parse((await raw.get(keys.batchSummary('a')))!) as Record<string, unknown>;
  assert.deepEqual(summary['window'], { start: '2026-01-01T00:00:00Z', end: day(1) });
  assert.deepEqual(await raw.mget(...['completed', 'last_duration', 'last_run'].map(keys.batchJobs)), ['1', '2.500', '1970-01-01T00:00:03.500Z']);
  assert.deepEqual(await lastGoodRows(to), rows);

  assert.equal(await run('b', day(2)), 'latest');
  assert.deepEqual(await latest(), thrice('b'));
  for (const key of [keys.batchRecords('orders', 'a'), keys.batchSummary('a'), keys.batchWindow('products', day(1))]) {
    const left = await raw.pttl(key);
    assert.ok(left > 0 && left <= 60_000, `${key} ${left}`);
  }
  assert.equal(await raw.pttl(keys.batchWindow('products', day(2))), -1);
});

test('latest never moves to an earlier window; such a run has its window alone, for a time', async () => {
  await run('new', day(5));
  assert.equal(await run('old', day(3)), 'window');
  assert.deepEqual([await latest(), await windowOf(day(3)), await windowOf(day(5))], [thrice('new'), thrice('old'), thrice('new')]);
  assert.ok((await raw.pttl(keys.batchRecords('customers', 'old'))) > 60_000);
  assert.ok((await raw.pttl(keys.batchWindow('customers', day(3)))) > 60_000);
  assert.equal(await run('again', day(5)), 'latest');
  assert.deepEqual([await latest(), await windowOf(day(5))], [thrice('again'), thrice('again')]);
});

test('a backfilled window leaves latest alone, also when there is none, and replaces what the window had', async () => {
  assert.equal(await run('first', day(1), 'window'), 'window');
  assert.deepEqual(await latest(), thrice(null));
  assert.equal(await run('second', day(1), 'window'), 'window');
  assert.deepEqual(await windowOf(day(1)), thrice('second'));
  assert.ok((await raw.pttl(keys.batchRecords('customers', 'first'))) <= 60_000);
  await run('live', day(1));
  assert.equal(await run('third', day(1), 'window'), 'window');
  assert.deepEqual([await latest(), await windowOf(day(1))], [thrice('live'), thrice('third')]);
  assert.equal(await raw.pttl(keys.batchRecords('customers', 'live')), -1, 'latest still leads to it');
});

test('a run that is not whole is not published, and nothing is counted', async () => {
  await load('a');
  await raw.hdel(keys.batchRecords('products', 'a'), '7');
  assert.equal(await flip(reportOf('a', day(1), 'latest')), 'incomplete');
  assert.deepEqual(await latest(), thrice(null));
  assert.equal(await raw.get(keys.batchJobs('completed')), null);
  assert.ok((await raw.pttl(keys.batchRecords('orders', 'a'))) > 0, 'what was loaded does not stay for ever');
});

test('a step that is repeated after it had published changes nothing: no count, no expiry, no late record', async () => {
  await run('a', day(1));
  assert.equal(await run('a', day(1)), 'again');
  assert.equal(await raw.pttl(keys.batchRecords('customers', 'a')), -1);
  assert.equal(await raw.get(keys.batchJobs('completed')), '1');
  await loadTable(to, 'customers', 'a', pages('late', 2000), () => undefined);
  assert.equal(await raw.hlen(keys.batchRecords('customers', 'a')), 1500);
  assert.match((await raw.hget(keys.batchRecords('customers', 'a'), '3'))!, /"run":"a"/);
});

test('a reader in a loop never sees two runs mixed, and what it was led to is there', async () => {
  const over = new AbortController();
  let seen = 0;
  const reader = (async () => {
    const runs = new Set<string>();
    while (!over.signal.aborted) {
      const ids = await latest();
      assert.deepEqual(ids, thrice(ids[0]));
      if (ids[0] === null) continue;
      runs.add(ids[0]!);
      const sizes = await Promise.all(recordTables.map((table) => raw.hlen(keys.batchRecords(table, ids[0]!))));
      assert.deepEqual(sizes, thrice(1500));
      seen += 1;
    }
    return runs;
  })();
  for (let n = 1; n <= 12; n += 1) await run(`run-${n}`, day(n));
  over.abort();
  assert.ok((await reader).size > 1 && seen > 12, `${seen} looks`);
});

test('failures are counted once each, the row is named by its first; a scheduled success ends it, a backfilled one does not', async () => {
  const fail = (runId: string, scheduled: boolean, end = day(1)): Promise<unknown> => recordFailure(to, reportOf(runId, end, 'latest'), 'why', scheduled);
  assert.deepEqual(await fail('by-hand', false), { runs: 0, since: null });
  assert.deepEqual(await fail('x', true), { runs: 1, since: day(1) });
  assert.deepEqual(await fail('x', true), { runs: 1, since: day(1) });
  assert.deepEqual(await fail('y', true, day(2)), { runs: 2, since: day(1) });
  assert.deepEqual(await fail('z', false), { runs: 2, since: day(1) });
  assert.equal(await raw.get(keys.batchJobs('failed')), '4');
  assert.equal((JSON.parse((await raw.get(keys.batchSummary('x')))!) as { error: string }).error, 'why');
  await run('b', day(1), 'window');
  assert.equal(await raw.get(keys.batchJobs('failed_in_a_row')), '2');
  await run('c', day(2));
  assert.equal(await raw.get(keys.batchJobs('failed_in_a_row')), '0');
});

test('failed runs of a row are one alert until one is published; resolved by hand, the next one is another alert', async () => {
  const open = new Map<string, string[]>(); // as Temporal would: an id is open once
  const over = new Set<string>();
  const deps: FailureAlertDeps = {
    ...to,
    raiseAlert: async ({ alertId, origin }) => {
      if (over.has(alertId)) return false;
      open.set(alertId, [...new Set([...(open.get(alertId) ?? []), origin])]);
      return true;
    },
    endAlert: async (ref) => {
      if (open.delete(alertIdOf(ref))) over.add(alertIdOf(ref));
    },
  };
  const idOf = (end: string): string => `batch-etl/${Date.parse(end)}`;
  const fail = async (end: string, startedMs: number): Promise<void> => {
    const report = { ...reportOf(`failed-${startedMs}`, end, 'latest'), startedMs };
    const { runs, since } = await recordFailure(to, report, 'why', true);
    await tellFailure(deps, report, 'block', { runs, since: since! });
  };
  await fail(day(1), 1);
  await fail(day(1), 1); // repeated after a death
  await fail(day(2), 2);
  assert.deepEqual([...open], [[idOf(day(1)), ['batch-etl-0:1', 'batch-etl-0:2']]]);
  await deps.endAlert({ type: 'batch_failed', entity: 'batch-etl', episode: Date.parse(day(1)) });
  await fail(day(3), 3);
  await fail(day(4), 4);
  assert.deepEqual([...open], [[idOf(day(3)), ['batch-etl-0:3', 'batch-etl-0:4']]]);
  await tellPublished(deps);
  await tellPublished(deps);
  assert.deepEqual([open.size, await raw.exists(keys.batchFailing)], [0, 0]);
  await fail(day(5), 5);
  assert.deepEqual([...open.keys()], [idOf(day(5))]);
});

test('a key that is something else is told before anything is written', async () => {
  await load('a');
  await raw.hset(keys.batchLatest('orders'), 'a', '1');
  await assert.rejects(flip(reportOf('a', day(1), 'latest')), (error: PipelineError) => error.code === 'redis_refused' && error.message.includes('batch_etl:orders:latest'));
  assert.equal(await raw.get(keys.batchWindow('customers', day(1))), null);
  assert.equal(await raw.exists(keys.batchSummary('a')), 0);
  await raw.del(keys.batchLatest('orders'));
  await raw.set(keys.batchJobs('completed'), 'many');
  await assert.rejects(flip(reportOf('a', day(1), 'latest')), /batch_jobs:completed/);
});

test('what a cancelled run has loaded goes, another run stays', async () => {
  await run('a', day(1));
  await load('b');
  await dropLoaded(to, 'b');
  assert.deepEqual((await raw.keys('*:b')).length, 0);
  assert.equal(await raw.hlen(keys.batchRecords('customers', 'a')), 1500);
});

test('a cancel that comes when the run is published takes nothing back', async () => {
  await run('a', day(1));
  await dropLoaded(to, 'a');
  assert.deepEqual(await Promise.all(recordTables.map((table) => raw.hlen(keys.batchRecords(table, 'a')))), thrice(1500));
});
