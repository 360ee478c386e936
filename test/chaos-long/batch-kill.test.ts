/**
 * Goal: whatever dies in the middle of a batch run, it completes, once, with the result it would have had.
 * Method: a real stack without a generator; a run of each window undisturbed, then the same window with a fault at a named point of a step.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { connectRedis } from '../../src/adapters/redis.ts';
import { requireSecret } from '../../src/config.ts';
import { fillPast, jobs, pastDays, recordsOf } from '../batch-shop.ts';
import { assertRecovered, landed, processOf, seededChoices } from '../faults.ts';
import { startStack, until, type TestStack } from '../stack.ts';

let stack: TestStack;
let expected: Record<string, string>[];
const { pick } = seededChoices('batch-kill');
const { ends } = pastDays(20);
const end = pick(ends);

before(async () => {
  stack = await startStack({ SLUICE_GENERATOR: 'off', SLUICE_STREAM: 'off' });
  await fillPast(stack, 40);
  const verify = await stack.sluice('verify', '--batch');
  assert.equal(verify.code, 0, verify.stdout + verify.stderr);
  assert.equal((await stack.sluice('batch', 'run', '--window-end', end)).code, 0);
  expected = (await recordsOf(stack, end))!;
  assert.ok(Object.keys(expected[0]!).length > 50 && Object.keys(expected[2]!).length > 1);
});
after(() => stack.stop());

/** Runs the window with `fault` once the armed point is passed; asserts that it completes, once, with the same records. */
async function disturb(t: TestContext, point: string, action: 'kill' | 'stop', what: string, fault: (workerPid: number) => Promise<void> = async () => undefined): Promise<void> {
  const before = await jobs(stack);
  const { pid } = await processOf(stack, 'worker');
  stack.arm(point, action);
  const run = stack.sluice('batch', 'run', '--window-end', end);
  await until(`${point} is passed`, async () => !stack.isArmed(point));
  await fault(pid);
  landed(t, what);
  const { code, stderr, stdout } = await run;
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(await recordsOf(stack, end), expected);
  const { completed, failed } = await jobs(stack);
  assert.deepEqual({ completed, failed }, { completed: before.completed + 1, failed: before.failed });
  if (action === 'kill') assert.notEqual((await processOf(stack, 'worker')).pid, pid);
}

for (const step of ['extract', 'quality', 'transform', 'load', 'published']) {
  test(`the worker killed: ${step}`, (t) => disturb(t, `batch.${step}`, 'kill', `the worker was killed, ${step}`));
}

test('PostgreSQL killed in the middle of an extraction', (t) =>
  disturb(t, 'batch.extract', 'stop', 'PostgreSQL was killed while tables were copied', async (workerPid) => {
    const { pid } = await processOf(stack, 'postgres');
    process.kill(pid, 'SIGKILL');
    await until('PostgreSQL is started again', async () => (await processOf(stack, 'postgres')).pid !== pid);
    process.kill(workerPid, 'SIGCONT');
  }));

test('Temporal killed in the middle of a run', (t) =>
  disturb(t, 'batch.transform', 'stop', 'Temporal was killed before the transform', async (workerPid) => {
    const { pid } = await processOf(stack, 'temporal');
    process.kill(pid, 'SIGKILL');
    await until('Temporal is started again', async () => (await processOf(stack, 'temporal')).pid !== pid);
    process.kill(workerPid, 'SIGCONT');
  }));

test('Redis emptied in the middle of a load: what was staged is gone too, and the source is read again', async (t) => {
  const admin = connectRedis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, user: 'default', password: requireSecret(stack.settings, 'REDIS_PASSWORD'), name: 'test', failFast: true });
  const before = await stack.redis.strings([stack.keys.batchJobs('completed')]);
  assert.notEqual(before[0], null);
  stack.arm('batch.load', 'stop');
  const { pid } = await processOf(stack, 'worker');
  const run = stack.sluice('batch', 'run', '--window-end', end);
  await until('batch.load is passed', async () => !stack.isArmed('batch.load'));
  await admin.delete(await keysOf(admin, 'batch_*'));
  process.kill(pid, 'SIGCONT');
  landed(t, 'Redis lost all of the batch while records were loaded');
  const { code, stdout, stderr } = await run;
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /round 2/);
  assert.deepEqual(await recordsOf(stack, end), expected);
  assert.deepEqual(await jobs(stack), { completed: 1, failed: 0 });
  await admin.close();
});

async function keysOf(redis: TestStack['redis'], pattern: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of redis.scan(pattern)) found.push(...page);
  return found;
}

test('a backfill of thirty days survives three deaths of the worker, leaves latest alone, and repeated gives the same', async (t) => {
  const { from, to, ends: days } = pastDays(30);
  const latest = await stack.redis.strings([stack.keys.batchLatest('customers')]);
  const all = async (): Promise<unknown> => Promise.all(days.map((day) => recordsOf(stack, day)));
  const run = stack.sluice('backfill', '--from', from, '--to', to, '--policy', 'all', '--concurrency', '3', '--wait', '--json');
  for (const point of ['batch.extract', 'batch.transform', 'batch.load']) {
    stack.arm(point, 'kill');
    await until(`${point} is passed`, async () => !stack.isArmed(point), 120_000);
  }
  landed(t, 'the worker was killed three times during a backfill');
  const first = await run;
  assert.equal(first.code, 0, first.stdout + first.stderr);
  assert.equal((JSON.parse(first.stdout) as { completed: number }).completed, 30);
  const records = await all();
  const second = await stack.sluice('backfill', '--from', from, '--to', to, '--policy', 'all', '--wait');
  assert.equal(second.code, 0, second.stdout + second.stderr);
  assert.deepEqual(await all(), records);
  const third = await stack.sluice('backfill', '--from', from, '--to', to, '--wait');
  assert.match(third.stdout, /0 run, 30 skipped, 0 failed/);
  assert.deepEqual(await stack.redis.strings([stack.keys.batchLatest('customers')]), latest);
  await assertRecovered(stack);
});
