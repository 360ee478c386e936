/**
 * Goal: the scheduled batch on the real stack, as an operator sees it: runs, blocks, pauses itself, obeys pause and settings,
 * is compared with SQL, and keeps every row out of Temporal.
 * Method: a stack without a generator, a shop with a past, a short interval; faults are put into the source itself.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { AlertState } from '../../src/workflows/alert-contract.ts';
import { fillPast, jobs, pastDays, recordsOf } from '../batch-shop.ts';
import { processOf } from '../faults.ts';
import { startStack, until, type TestStack } from '../stack.ts';

const everySeconds = 10;
let stack: TestStack;
let connection: Connection;
let client: Client;

before(async () => {
  stack = await startStack({ SLUICE_GENERATOR: 'off', BATCH_INTERVAL_SECONDS: String(everySeconds), BATCH_FAILURES_MOST: '2' });
  connection = await Connection.connect({ address: `127.0.0.1:${stack.settings.TEMPORAL_PORT}` });
  client = new Client({ connection });
  await fillPast(stack, 30);
});
after(async () => {
  await connection?.close();
  await stack.stop();
});

interface Status {
  schedule: { everySeconds: number; paused: boolean; note: string };
  running: Record<string, unknown>;
  latest: { run_id: string; window: { start: string; end: string }; quality_verdict: string; records_processed: Record<string, number> } | null;
}
/** What a command tells, once Temporal answers it. */
const told = <T>(...args: string[]): Promise<T> =>
  until(`${args.join(' ')} tells something`, async () => {
    const { stdout } = await stack.sluice(...args, '--json');
    return stdout === '' ? undefined : (JSON.parse(stdout) as T);
  });
const status = (): Promise<Status> => told('batch', 'status');
const latestRun = async (): Promise<string | null> => (await stack.redis.strings([stack.keys.batchLatest('customers')]))[0] ?? null;
const openFailures = async (): Promise<string[]> => (await told<{ alerts: { alert: string }[] }>('alerts', 'ls', '--type', 'batch_failed')).alerts.map(({ alert }) => alert);
const newRun = (than: string | null): Promise<string> => until('another run is published', async () => ((await latestRun()) !== than && (await latestRun())) || undefined, 60_000);

test('a run completes every interval; latest leads to whole records, and they equal SQL over the same snapshot', async () => {
  const first = await newRun(null);
  const second = await newRun(first);
  const { latest } = await status();
  assert.ok(latest && latest.quality_verdict !== 'block');
  const end = Date.parse(latest.window.end);
  assert.equal(end % (everySeconds * 1000), 0);
  assert.equal(end - Date.parse(latest.window.start), 24 * 3_600_000);
  assert.notEqual(second, first);
  const verify = await stack.sluice('verify', '--batch', '--json');
  assert.equal(verify.code, 0, verify.stdout + verify.stderr);
  const { checked } = JSON.parse(verify.stdout) as { checked: Record<string, number> };
  assert.equal(checked['customers'], 305);
  assert.ok(checked['orders']! > 1);
});

test('verify finds a record that was changed and one that is missing', async () => {
  const worker = await processOf(stack, 'worker');
  await stack.sluice('batch', 'pause');
  await until('no run is in work', async () => Object.keys((await status()).running).length === 0);
  stack.arm('batch.published', 'stop');
  const verify = stack.sluice('verify', '--batch', '--json');
  await until('its run is loaded', async () => !stack.isArmed('batch.published'));
  let runId = '';
  for await (const run of client.workflow.list({ query: "WorkflowType = 'batchEtl' AND ExecutionStatus = 'Running'" })) if (run.workflowId.startsWith('batch-etl/verify/')) runId = run.runId;
  const key = stack.keys.batchRecords('customers', runId);
  const [record] = await stack.redis.fields(key, ['7']);
  await stack.redis.setFields(key, { 7: record!.replace(/"total_orders":\d+/, '"total_orders":777') });
  await stack.redis.deleteFields(key, ['8']);
  process.kill(worker.pid, 'SIGCONT');
  const { code, stdout } = await verify;
  await stack.sluice('batch', 'resume');
  assert.equal(code, 1, stdout);
  const { differences } = JSON.parse(stdout) as { differences: { key: string; column: string; found: string }[] };
  assert.deepEqual(differences.map(({ key: at, column, found }) => [at.slice(key.length), column, found]), [
    [' 7', 'total_orders', '777'],
    [' 8', '(row)', '(absent)'],
    ['', '(records)', '304'],
  ]);
});

test('no history of a run carries a row, and each is short', async () => {
  const rows = await stack.db.query<{ words: string[] }>('SELECT array_agg(DISTINCT word) AS words FROM (SELECT unnest(ARRAY[first_name, last_name, email, city]) AS word FROM customers UNION SELECT name FROM products) w');
  const words = rows[0]!.words.filter((word) => word.length > 5);
  assert.ok(words.length > 300);
  let seen = 0;
  for await (const { workflowId, runId } of client.workflow.list({ query: "WorkflowType = 'batchEtl'" })) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const text = decoded(historyToJSON(history));
    assert.deepEqual(words.filter((word) => text.includes(word)), []);
    assert.ok((history.events?.length ?? 0) < 200);
    seen += 1;
  }
  assert.ok(seen >= 3);
});

/** With the payloads as text, they are base64 otherwise. */
const decoded = (json: unknown): string => JSON.stringify(json, (key, value: unknown) => (key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value));

test('statuses that are more than Temporal carries do not hold up a run', async () => {
  const paddings = await stack.db.query<{ id: number }>("INSERT INTO orders (total_amount, status) SELECT 0, repeat(n::text, 600000) FROM generate_series(1, 4) n RETURNING id");
  const before = await latestRun();
  await newRun(await newRun(before)); // the first may have been extracting
  const { latest } = await told<{ latest: { order_insights: { status_distribution: Record<string, number> } } }>('batch', 'status');
  assert.deepEqual(Object.keys(latest.order_insights.status_distribution).map(({ length }) => length).filter((length) => length > 1000), [600_000, 600_000, 600_000, 600_000]);
  await stack.db.query('DELETE FROM orders WHERE id = ANY($1)', [paddings.map(({ id }) => id)]);
});

test('a backfill can be paused, resumed and cancelled; cancelled, nothing of it stays in work', async () => {
  const { from, to, ends } = pastDays(8);
  const before = await latestRun();
  const name = 'test';
  const started = await stack.sluice('backfill', '--from', from, '--to', to, '--concurrency', '2', '--id', name);
  assert.equal(started.code, 0, started.stderr);
  const progress = () =>
    until('the backfill tells how far it is', async () => {
      const { progress: found, ...rest } = await told<{ status: string; progress: { completed: number; running: string[] } | null }>('backfill', 'status', name);
      return found !== null && { ...rest, progress: found };
    });
  await stack.sluice('backfill', 'pause', name);
  const paused = (await progress()).progress.completed;
  assert.ok(paused < 8);
  await stack.sluice('backfill', 'resume', name);
  await until('it goes on', async () => (await progress()).progress.completed > paused, 60_000);
  const cancel = await stack.sluice('backfill', 'cancel', name);
  if (cancel.code === 0) await until('it is over', async () => (await progress()).status !== 'RUNNING', 60_000);
  const again = await stack.sluice('backfill', '--from', from, '--to', to, '--wait');
  assert.equal(again.code, 0, again.stdout + again.stderr);
  for (const end of ends) assert.ok(await recordsOf(stack, end), end);
  await until('nothing is staged any more', async () => !(await stack.redis.scan(stack.keys.of('batch_staging:*')).next()).value, 30_000);
  assert.ok((await latestRun()) !== null && before !== null);
});

test('orphans block a run: latest stays, the failures are counted, the schedule pauses and says why; mended and resumed it goes on', async () => {
  const good = await status();
  await stack.db.query('ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey');
  await stack.db.query('INSERT INTO orders (id, customer_id, total_amount) VALUES (999999, 888888, 1)');
  const { schedule } = await until('the schedule is paused', async () => ((await status()).schedule.paused ? status() : undefined), 90_000, 500);
  assert.match(schedule.note, /Paused by Sluice after 2 failed runs in a row.*1 row of orders whose customer_id is not in customers.*batch resume/s);
  assert.ok((await jobs(stack)).failed >= 2);
  const alert = await until('the alert is listed', async () => (await openFailures())[0], 30_000);
  assert.deepEqual(await openFailures(), [alert]);
  const state = await told<AlertState>('alerts', 'show', alert);
  assert.ok(state.severity === 'HIGH' && state.occurrences >= 2, JSON.stringify(state));
  assert.match(state.value, /^\d+ in a row, the last blocked by the quality gate$/);
  const kept = await status();
  assert.ok(Date.parse(kept.latest!.window.end) >= Date.parse(good.latest!.window.end));
  assert.notEqual(kept.latest!.quality_verdict, 'block');
  await stack.db.query('DELETE FROM orders WHERE id = 999999');
  await stack.db.query('ALTER TABLE orders ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id)');
  const before = await latestRun();
  assert.equal((await stack.sluice('batch', 'resume')).code, 0);
  await newRun(before);
  const ended = await until('the alert is over', async () => (await told<AlertState>('alerts', 'show', alert)).resolved ?? undefined, 30_000);
  assert.equal(ended.reason, 'its cause is over');
});

test('a loss of more than half a table blocks every run, until one is told that it is meant', async () => {
  await stack.db.query('DELETE FROM order_items WHERE order_id IN (SELECT id FROM orders WHERE id % 3 > 0)');
  await stack.db.query('DELETE FROM orders WHERE id % 3 > 0');
  const refused = await stack.sluice('batch', 'run');
  assert.equal(refused.code, 1, refused.stdout + refused.stderr);
  assert.match(refused.stdout + refused.stderr, /orders has \d+ rows less than in the last good run.*npx sluice batch run --accept-loss/s);
  const before = await latestRun();
  const taken = await stack.sluice('batch', 'run', '--accept-loss');
  assert.equal(taken.code, 0, taken.stdout + taken.stderr);
  const accepted = await latestRun();
  assert.notEqual(accepted, before);
  await stack.sluice('batch', 'resume');
  await newRun(accepted);
});

test('a worker with another interval changes the schedule and nothing else: a pause stays', async () => {
  await stack.sluice('batch', 'pause', '--note', 'looking into it');
  stack.startProcess('worker', { BATCH_INTERVAL_SECONDS: '120', WORKER_METRICS_PORT: '0' });
  const { schedule } = await until('the schedule has the new interval', async () => ((await status()).schedule.everySeconds === 120 ? status() : undefined), 60_000, 500);
  assert.equal(schedule.paused, true);
  assert.equal(schedule.note, 'looking into it');
});
