/**
 * Goal: a replica that is lost whole, or goes back in time, is exact again without anyone's help and by the same process.
 * Method: under the generator's load Redis is emptied; then it comes back from an earlier copy of its append-only file.
 */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { requireSecret } from '../../src/config.ts';
import { layoutOf } from '../../src/stack/project.ts';
import { applied, assertRecovered, consumersOf, landed, seededChoices, takeAway } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const pids = async (): Promise<number[]> => (await consumersOf(stack)).map(({ pid }) => pid);

test('an emptied Redis is filled again from the topics by the same process', async (t) => {
  const before = await pids();
  const admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
  const [, [, left] = []] = (await admin.multi().flushall().exists('cdc:fence:identity').exec())!; // at once: a consumer claims anew within a second
  assert.equal(left, 0, 'the loss landed');
  landed(t, 'Redis emptied');
  admin.disconnect();
  await until('the pipeline has claimed its prefix again', async () => (await stack.redis.strings([stack.keys.identity]))[0] !== null);
  await until('every partition is drained', async () => {
    const { lag } = await stack.status();
    return lag.length > 0 && lag.reduce((sum, { events }) => sum + events, 0) < 100;
  }, 240_000);
  await assertRecovered(stack);
  assert.deepEqual(await pids(), before);
});

test('a Redis that comes back without the last it had acknowledged is brought up to date by the same process', async (t) => {
  const before = await pids();
  const files = join(layoutOf(stack.settings.SLUICE_DATA_DIR).redis, 'appendonlydir');
  const copy = join(stack.dir, 'earlier-appendonlydir');
  cpSync(files, copy, { recursive: true });
  const marker = stack.keys.of('cdc:changes:lost-with-the-rewind');
  await stack.redis.set(marker, 'written after the copy');
  const appliedAtCopy = await applied(stack);
  const eventsLost = seededChoices('redis-rewind').between(20, 400);
  await until('more was applied after the copy', async () => (await applied(stack)) >= appliedAtCopy + eventsLost);

  await takeAway(t, stack, {
    server: 'redis',
    way: 'kill',
    awayMs: 0,
    meanwhile: async () => {
      rmSync(files, { recursive: true });
      cpSync(copy, files, { recursive: true });
    },
  });
  rmSync(copy, { recursive: true });
  assert.deepEqual(await stack.redis.strings([marker]), [null], 'the rewind landed');
  landed(t, `Redis back without its last ${eventsLost} events or more`);
  await assertRecovered(stack);
  assert.deepEqual(await pids(), before);
  for (const { name } of await consumersOf(stack)) assert.match(stack.logOf(name), /waiting for Redis/);
});
