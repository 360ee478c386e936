/** Goal: how far the batch is, and what a backfill would run, can be asked while the worker is away. Method: the commands against a real Temporal and Redis; the workflows wait for a worker that never comes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { publish } from '../../src/batch/publish.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
let redis: TestRedis;
before(async () => {
  [temporal, redis] = await Promise.all([startTemporal({}), startRedis()]);
  await Promise.all([
    temporal.client.workflow.start('batchEtl', { workflowId: 'batch-etl/waits', taskQueue: 'of-nobody' }),
    temporal.client.workflow.start('backfill', { workflowId: 'backfill/waits', taskQueue: 'of-nobody' }),
  ]);
});
after(() => Promise.all([temporal.stop(), redis.stop()]));

async function sluice(...args: string[]): Promise<string> {
  const env = { ...process.env, SLUICE_DATA_DIR: redis.settings.SLUICE_DATA_DIR, REDIS_PORT: String(redis.port), TEMPORAL_PORT: temporal.address.replace(/.*:/, '') };
  return (await promisify(execFile)(process.execPath, ['--import', 'tsx', 'src/main/cli.ts', ...args], { env })).stdout;
}

test('batch status and backfill status say what waits for the worker', async () => {
  const [batch, backfill] = await Promise.all([sluice('batch', 'status'), sluice('backfill', 'status', 'waits')]);
  assert.match(batch, /^running +batch-etl\/waits: waiting for the worker$/m);
  assert.match(backfill, /^backfill\/waits: running, since \S+ · waiting for the worker$/m);
});

test('a window has its result when the run was about all of it: a day is not the hour that ends with it', async () => {
  const day = { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' };
  const report = { runId: 'day', window: day, publish: 'window' as const, startedMs: 0, rows: null, quality: null, durations: {} };
  await publish({ redis: redis.store, keys: createKeys(''), supersededMs: 60_000, keptMs: 60_000 }, report, { records_processed: { customers: 0, products: 0, orders: 0 } }, 1000);
  const statesOf = async (from: string, every: string): Promise<string[]> =>
    (JSON.parse(await sluice('backfill', '--from', from, '--to', day.end, '--every', every, '--dry-run', '--json')) as { windows: { state: string }[] }).windows.map(({ state }) => state);
  assert.deepEqual(await statesOf(day.start, '1d'), ['present']);
  assert.deepEqual(await statesOf('2026-11-01T22:00:00Z', '1h'), ['missing', 'missing']);
});
