/**
 * Goal: kill -9 of a consumer between read and commit neither loses nor doubles anything.
 * Method: again and again under the generator's load the failpoint kills one right before its commit; the supervisor
 * restarts it; then `sluice verify` compares every row and counter with the source, and the event counters are compared with the topics.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRecovered, consumersOf, landed, untilApplying } from '../faults.ts';
import { watchEventCounts } from '../event-counts.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const kills = 6;
/** The supervisor's pause before a restart grows while restarts do not last this long. */
const lastingMs = 5500;

const restarts = async (): Promise<number> => (await consumersOf(stack)).reduce((sum, one) => sum + one.restarts, 0);

test(`${kills} kills between read and commit under load leave the replica exact`, async (t) => {
  const assertCounted = await watchEventCounts(stack);
  const before = await restarts();
  for (let kill = 1; kill <= kills; kill += 1) {
    stack.arm('cdc.commit', 'kill');
    await until(`kill ${kill} landed`, async () => !stack.isArmed('cdc.commit'));
    await until(`restart ${kill}`, async () => (await restarts()) - before >= kill && (await consumersOf(stack)).every(({ state }) => state === 'running'));
    const backMs = performance.now();
    await untilApplying(stack);
    await until('the restart has lasted', async () => performance.now() - backMs > lastingMs);
  }
  assert.equal((await restarts()) - before, kills);
  landed(t, `a consumer killed before its commit, ${kills} times`);
  await assertRecovered(stack);
  await assertCounted();
});
