/**
 * Goal: a replica that is lost whole, or goes back in time, is exact again without anyone's help.
 * Method: under the generator's load Redis is emptied; then it is killed and started again by the supervisor.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { requireSecret } from '../../src/config.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const consumer = async () => (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;

test('an emptied Redis is filled again from the topics by the same process', async () => {
  const { pid } = await consumer();
  const admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
  await admin.flushall();
  assert.equal(await admin.exists('cdc:fence:identity'), 0, 'the loss landed');
  admin.disconnect();
  await until('the pipeline has claimed its prefix again', async () => (await stack.redis.strings([stack.keys.identity]))[0] !== null);
  await until('every partition is drained', async () => {
    const { lag } = await stack.status();
    return lag.length > 0 && lag.reduce((sum, { events }) => sum + events, 0) < 100;
  });
  await assertVerified(stack);
  assert.equal((await consumer()).pid, pid);
});

test('a killed Redis comes back and the same consumer goes on', async () => {
  const { pid } = await consumer();
  const redis = (await stack.status()).processes.find(({ name }) => name === 'redis')!;
  process.kill(redis.pid, 'SIGKILL');
  await until('Redis runs again', async () => {
    const now = (await stack.status()).processes.find(({ name }) => name === 'redis')!;
    return now.pid !== redis.pid && now.state === 'running';
  });
  await assertVerified(stack);
  assert.equal((await consumer()).pid, pid);
  assert.match(stack.logOf('cdc-consumer'), /waiting for Redis/);
});
