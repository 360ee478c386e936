/**
 * Goal: a rebuild or re-sync outlives a Temporal that is killed in its middle, alone or together with the worker, and so
 * does the command that follows it.
 * Method: who brings or applies what is read is frozen so that the rebuild cannot end; Temporal is killed; then everything goes on.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import type { RebuildProgress } from '../../src/workflows/contract.ts';
import { assertRecovered, consumersOf, landed, processOf, seededChoices, takeAway } from '../faults.ts';
import { until, useStack, type Outcome, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const choices = seededChoices('temporal-kill');
/** So long Temporal's client tries again by itself. */
const retriedMs = 30_000;

async function killInTheMiddle(t: TestContext, { command, frozen, awayMs, meanwhile }: { command: string[]; frozen: number[]; awayMs: number; meanwhile?: () => Promise<void> }): Promise<Outcome> {
  await stack.db.query('INSERT INTO order_items (quantity, unit_price) SELECT 1, 2.50 FROM generate_series(1, 15000)');
  const consumers = (await consumersOf(stack)).map(({ pid }) => pid);
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  let following: Promise<Outcome>;
  try {
    following = stack.sluice(...command, '--json');
    await until('it is reading or applying', async () => /reading|applying/.test((await stack.sluice('rebuild', 'status')).stdout), 60_000);
    await takeAway(t, stack, { server: 'temporal', way: 'kill', awayMs, ...(meanwhile && { meanwhile }) });
  } finally {
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
  }
  const outcome = await following;
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers, 'the same consumers');
  return outcome;
}

async function assertDone({ code, stdout, stderr }: Outcome, mode: RebuildProgress['mode']): Promise<void> {
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout) as RebuildProgress & { status: string };
  assert.deepEqual([result.status, result.phase, result.mode], ['COMPLETED', 'done', mode], result.note);
  const conditions = Object.keys(await stack.redis.hash(stack.keys.conditions)).filter((field) => field.startsWith('order_items'));
  assert.deepEqual(conditions, []);
  await assertRecovered(stack);
}

test('a re-sync goes on after Temporal was killed, and its command with it', async (t) => {
  const { pid } = await processOf(stack, 'worker');
  const outcome = await killInTheMiddle(t, { command: ['resync', 'order_items'], frozen: [(await processOf(stack, 'connect')).pid], awayMs: retriedMs + 5000 });
  assert.match(outcome.stderr, /waiting for Temporal/, 'it was said');
  await assertDone(outcome, 'snapshot');
  assert.equal((await processOf(stack, 'worker')).pid, pid, 'the same worker');
});

test('a rebuild from the topic goes on after Temporal and the worker were killed', async (t) => {
  const { pid } = await processOf(stack, 'worker');
  const killWorker = async (): Promise<void> => {
    process.kill(pid, 'SIGKILL');
    await until('the worker is gone', async () => (await processOf(stack, 'worker')).pid !== pid);
    landed(t, 'the worker killed as well');
  };
  const frozen = (await consumersOf(stack)).map((one) => one.pid);
  const outcome = await killInTheMiddle(t, { command: ['rebuild', '--table', 'order_items'], frozen, awayMs: 1000 * choices.between(1, 8), meanwhile: killWorker });
  await assertDone(outcome, 'topic');
});
