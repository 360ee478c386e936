/**
 * Goal: a log that is not the one the fence was written for is never jumped over: its table is read again, or stands still where
 * that cannot help, and both are told. Method: what the last claim has stored is changed under a consumer that is then killed.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tableTopic } from '../../src/domain/topics.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const topicOf = (table: string): string => tableTopic(stack.settings.TOPIC_PREFIX, table);

/** Changes a field of a hash while the consumer stands still, kills it, and gives back what was there. */
async function changeAndKill(hash: string, field: string, value: string): Promise<string> {
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  process.kill(pid, 'SIGSTOP'); // nothing is committed between the look and the change
  const before = (await stack.redis.hash(hash))[field]!;
  await stack.redis.setFields(hash, { [field]: value });
  process.kill(pid, 'SIGKILL');
  return before;
}

test('another record before the fence: the table is read again, without a command, and ends equal', async () => {
  const generation = async (): Promise<number> => (await readTableState(stack.redis, stack.keys, 'orders')).generation;
  const bounds = await stack.kafka.offsets(topicOf('orders'));
  const { partition } = bounds.find(({ high }) => high > 0n)!;
  await until('something was applied', async () => (await stack.redis.strings([stack.keys.offset(topicOf('orders'), partition)]))[0] ?? undefined);
  const before = await generation();
  await changeAndKill(stack.keys.owner(topicOf('orders'), partition), 'last', 'another');
  const why = await until('the table is told', async () => (await stack.redis.hash(stack.keys.status))['orders:why']);
  assert.match(why, /re-created or cut|reading|read again/);
  assert.ok((await generation()) > before);
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['orders'] === 'running', 180_000);
  await assertVerified(stack);
});

test('another number of partitions halts the table, and status is unhealthy with the reason', async () => {
  const field = `partitions:${topicOf('products')}`;
  const stored = await changeAndKill(stack.keys.pipeline, field, '7');
  const status = await until('the table is halted', async () => {
    const now = await stack.sluice('status', '--json');
    return now.code === 3 && (JSON.parse(now.stdout) as { halted: Record<string, string> }).halted['products'] !== undefined && now;
  });
  assert.match((JSON.parse(status.stdout) as { halted: Record<string, string> }).halted['products']!, new RegExp(`has ${stored} partitions, the replica was made from 7`));
  await changeAndKill(stack.keys.pipeline, field, stored);
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['products'] === 'running', 120_000);
  await assertVerified(stack);
});
