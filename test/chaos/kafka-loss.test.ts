/**
 * Goal: a Kafka that is killed under load, and again while everyone is still finding back, costs nothing.
 * Method: the broker is killed twice, the second time as soon as work has resumed; then `sluice verify` compares everything.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRecovered, consumersOf, takeAway, untilApplying } from '../faults.ts';
import { useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('a Kafka that is killed twice comes back and the same consumer goes on', async (t) => {
  const consumers = async () => (await consumersOf(stack)).map(({ pid, restarts }) => [pid, restarts]);
  const before = await consumers();
  for (let kill = 1; kill <= 2; kill += 1) {
    await takeAway(t, stack, { server: 'kafka', way: 'kill', awayMs: 0 });
    await untilApplying(stack);
  }
  assert.deepEqual(await consumers(), before);
  await assertRecovered(stack);
});
