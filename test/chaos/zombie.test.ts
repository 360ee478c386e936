/**
 * Goal: a consumer that sleeps through the loss of its partitions cannot write when it wakes.
 * Method: two consumers share the group; one is stopped (SIGSTOP) between read and commit; when the other has taken over
 * and committed, it is continued: its commit must be refused by the fence, and the replica must be exact.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const isStopped = (pid: number): boolean => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/, ''));

test('the commit of a consumer that was stopped while another took over is refused', async () => {
  const supervised = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!.pid;
  const second = stack.startProcess('cdc-consumer');
  const logs = new Map([
    [supervised, () => stack.logOf('cdc-consumer')],
    [second.child.pid!, second.log],
  ]);
  await until('the second consumer has claimed partitions', async () => second.log().includes('partitions claimed'));

  stack.arm('cdc.commit', 'stop');
  const zombie = await until('one consumer is stopped before its commit', async () => [...logs.keys()].find(isStopped));
  const other = [...logs.keys()].find((pid) => pid !== zombie)!;
  const claimedBefore = count(logs.get(other)!(), 'partitions claimed');
  const refusedBefore = count(logs.get(zombie)!(), 'commit refused');
  await until('the other consumer took over', async () => count(logs.get(other)!(), 'partitions claimed') > claimedBefore);
  const applied = await stack.redis.strings([stack.keys.statsTotal]);
  await until('the other consumer commits', async () => (await stack.redis.strings([stack.keys.statsTotal]))[0] !== applied[0]);

  process.kill(zombie, 'SIGCONT');
  await until('the refusal is in the log', async () => count(logs.get(zombie)!(), 'commit refused') > refusedBefore);
  assert.ok(!isStopped(zombie));
  await assertVerified(stack);
});

const count = (text: string, part: string): number => text.split(part).length - 1;
