/**
 * Goal: a consumer that sleeps through the loss of its partitions cannot write when it wakes.
 * Method: several consumers share the group; one is stopped (SIGSTOP) between read and commit; when another has taken over
 * and committed, it is continued: its commit must be refused by the fence, and the replica must be exact.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { assertRecovered, consumersOf, isFrozen, landed, untilApplying } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('the commit of a consumer that was stopped while another took over is refused', async (t) => {
  const logs = new Map((await consumersOf(stack)).map(({ name, pid }) => [pid, () => stack.logOf(name)]));
  const joined = stack.startProcess('cdc-consumer', { KAFKA_INSTANCE_ID: 'zombie-test' });
  logs.set(joined.child.pid!, joined.log);
  await until('the new consumer has claimed partitions', async () => joined.log().includes('partitions claimed'));

  const allClaims = (): number => [...logs.values()].reduce((sum, log) => sum + count(log(), 'partitions claimed'), 0);
  await until('the group has settled', async () => {
    const before = allClaims();
    await delay(3000);
    return allClaims() === before; // a claim of the join itself would be taken for the one after the loss
  });
  stack.arm('cdc.commit', 'stop');
  const zombie = await until('one consumer is stopped before its commit', async () => [...logs.keys()].find(isFrozen));
  const others = [...logs.keys()].filter((pid) => pid !== zombie);
  const claims = (): number => others.reduce((sum, pid) => sum + count(logs.get(pid)!(), 'partitions claimed'), 0);
  const claimedBefore = claims();
  const refusedBefore = refusals(logs.get(zombie)!());
  await until('its partitions were taken over', async () => claims() > claimedBefore);
  await untilApplying(stack);

  process.kill(zombie, 'SIGCONT');
  await until('the refusal is in the log', async () => refusals(logs.get(zombie)!()) > refusedBefore);
  assert.ok(!isFrozen(zombie));
  landed(t, 'a consumer asleep before its commit until its partitions were taken over');
  await untilApplying(stack);
  await assertRecovered(stack);
});

/** For the owner's epoch: the fence may have stood still meanwhile. */
const refusals = (text: string): number => text.split('\n').filter((line) => line.includes('commit refused') && line.includes('"cause":"epoch"')).length;
const count = (text: string, part: string): number => text.split(part).length - 1;
