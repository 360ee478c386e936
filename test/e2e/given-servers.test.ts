/**
 * Goal: servers that are there already are used, prepared, and left alone. Method: a PostgreSQL and a Redis of the test's own, given to
 * a stack by address; the database and the Redis user are not there before. The tests build on each other in this order.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { loadSettings, requireSecret, secretNames } from '../../src/config.ts';
import { awaitServer } from '../../src/stack/probes.ts';
import { startPostgres, type TestPostgres } from '../postgres.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { assertVerified, freshEnvironment, runSluice, startStack, until, type TestStack } from '../stack.ts';

let postgres: TestPostgres;
let redis: TestRedis;
let given: Record<string, string>;
let stack: TestStack | undefined;

before(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const source = loadSettings(postgres.environment);
  given = {
    ...Object.fromEntries(secretNames.map((name) => [name, `given-${name}`])),
    ...{ POSTGRES_HOST: 'localhost', POSTGRES_PORT: String(source.POSTGRES_PORT), POSTGRES_DB: 'elsewhere', POSTGRES_PASSWORD: requireSecret(source, 'POSTGRES_PASSWORD').reveal() },
    ...{ REDIS_HOST: 'localhost', REDIS_PORT: String(redis.port), REDIS_PASSWORD: redis.password.reveal() },
  };
});
after(async () => {
  await stack?.stop();
  await Promise.all([postgres.stop(), redis.stop()]);
});

test('a password of a given server that is missing is named, and a wrong one is said at once', async () => {
  const { dir, env } = await freshEnvironment({ ...given, SLUICE_READER_PASSWORD: '' });
  const { code, stdout } = await runSluice(env, ['up']);
  rmSync(dir, { recursive: true });
  assert.equal(code, 2, stdout);
  assert.match(stdout, /SLUICE_READER_PASSWORD: needed with POSTGRES_HOST/);
  const wrong = loadSettings({ ...given, REDIS_PASSWORD: 'wrong', POSTGRES_PASSWORD: 'wrong' }, '/nowhere');
  const { signal } = new AbortController();
  await assert.rejects(awaitServer(wrong, 'redis', signal), /Redis \(REDIS_HOST, redis:\/\/localhost:\d+\): .*WRONGPASS/);
  await assert.rejects(awaitServer(wrong, 'postgres', signal), /PostgreSQL \(POSTGRES_HOST, postgresql:\/\/postgres@localhost:\d+\/elsewhere\): .*password authentication failed/);
});

test('a stack over given servers is healthy, starts none of them, and is exact', async () => {
  stack = await startStack(given);
  const { processes } = await until('a healthy stack', async () => (await stack!.status()).healthy && stack!.status());
  assert.deepEqual(processes.map(({ name }) => name), ['kafka', 'connect', 'temporal', 'cdc-consumer', 'stream-consumer', 'alerts-consumer', 'worker', 'generator']);
  await assertVerified(stack);
});

test('down and reset leave given servers and what they hold', async () => {
  assert.ok(stack);
  assert.equal((await stack.sluice('reset', '--yes')).code, 0);
  const customers = await stack.db.query<{ id: number }>('SELECT id FROM customers');
  const kept = (await redis.admin.strings(customers.map(({ id }) => `customer:${id}`))).filter((image) => image !== null);
  assert.ok(kept.length > 0, `${customers.length} customers in PostgreSQL, none of them in Redis`);
});
