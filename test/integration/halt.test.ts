/**
 * Goal: a log that is not the one the fence was written for stops its partition and says so; nothing is skipped.
 * Method: the stored fingerprint of the record before the fence is changed, as if the topic had been created anew, and the
 * consumer is restarted; with the fingerprint put back it goes on where it stood.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tableTopic } from '../../src/domain/topics.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

async function restartConsumer(): Promise<void> {
  const consumer = async () => (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  const { pid } = await consumer();
  process.kill(pid, 'SIGTERM');
  await until('the consumer runs again', async () => {
    const now = await consumer();
    return now.pid !== pid && now.state === 'running';
  });
}

test('another record before the fence halts the table, and status is unhealthy with the reason', async () => {
  const topic = tableTopic(stack.settings.TOPIC_PREFIX, 'orders');
  const owner = stack.keys.owner(topic, 0);
  const fence = async (): Promise<string | null> => (await stack.redis.strings([stack.keys.offset(topic, 0)]))[0] ?? null;
  await until('something was applied', async () => (await fence()) !== null);

  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  process.kill(pid, 'SIGSTOP'); // nothing is committed between the look and the change
  const { last } = await stack.redis.hash(owner);
  await stack.redis.setFields(owner, { last: 'another' });
  const before = await fence();
  process.kill(pid, 'SIGKILL');

  const status = await until('the table is halted', async () => {
    const now = await stack.sluice('status', '--json');
    return now.code === 3 && (JSON.parse(now.stdout) as { halted: Record<string, string> }).halted['orders'] !== undefined && now;
  });
  assert.match((JSON.parse(status.stdout) as { halted: Record<string, string> }).halted['orders']!, /re-created or cut/);
  assert.equal(await fence(), before, 'the fence has not moved');

  await stack.redis.setFields(owner, { last: last! });
  await restartConsumer();
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['orders'] === 'running');
  await assertVerified(stack);
});
