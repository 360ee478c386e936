/**
 * Goal: a Kafka that is killed under load comes back, and the same consumer goes on exactly.
 * Method: the broker is killed twice, the second time as soon as work has resumed; then `sluice verify` compares everything.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const find = async (name: string) => (await stack.status()).processes.find((process) => process.name === name)!;
const total = async (): Promise<number> => Number((await stack.redis.strings([stack.keys.statsTotal]))[0] ?? 0);

test('a killed Kafka comes back and the same consumer goes on', async () => {
  const { pid, restarts } = await find('cdc-consumer');
  for (let kill = 1; kill <= 2; kill += 1) {
    const kafka = await find('kafka');
    process.kill(kafka.pid, 'SIGKILL');
    await until('Kafka runs again', async () => {
      const now = await find('kafka');
      return now.pid !== kafka.pid && now.state === 'running';
    });
    const applied = await total();
    await until('changes are applied again', async () => (await total()) > applied, 120_000);
  }
  const consumer = await find('cdc-consumer');
  assert.deepEqual([consumer.pid, consumer.restarts], [pid, restarts]);
  await until('the stack is healthy again', async () => (await stack.status()).healthy, 120_000);
  await assertVerified(stack);
});
