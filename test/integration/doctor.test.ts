/**
 * Goal: what is wrong with a real server is found, and the fix that is told mends it; a start stops at it.
 * Method: a PostgreSQL and a Redis of the test's own are broken in several ways; what the doctor says to do is then
 * done word for word.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { loadSettings, type Settings } from '../../src/config.ts';
import type { Finding } from '../../src/doctor/check.ts';
import { examinePostgres } from '../../src/doctor/examine-postgres.ts';
import { examineRedis } from '../../src/doctor/examine-redis.ts';
import { startPostgres, type TestPostgres, type TestShop } from '../postgres.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { runSluice } from '../stack.ts';

let postgres: TestPostgres;
let shop: TestShop;
let redis: TestRedis;
let raw: Redis;

before(async () => {
  [postgres, redis] = await Promise.all([startPostgres({ wal_level: 'replica' }), startRedis()]);
  shop = await postgres.openShop();
  raw = new Redis({ host: '127.0.0.1', port: redis.port, password: redis.password.reveal() });
});
after(async () => {
  raw.disconnect();
  await Promise.all([postgres.stop(), redis.stop()]);
});

const given = (more: Record<string, string> = {}): Settings => loadSettings({ ...postgres.environment, POSTGRES_HOST: '127.0.0.1', POSTGRES_DB: 'shop_1', ...more });
const notOk = (findings: Finding[]): string[] => findings.filter(({ level }) => level !== 'ok').map(({ check, level }) => `${check} ${level}`);
const fixOf = (findings: Finding[], check: string): string => findings.find((one) => one.check === check)?.fix ?? '';

test('PostgreSQL: each thing that was broken is told, and its fix mends it', async () => {
  await shop.owner.query('ALTER PUBLICATION sluice DROP TABLE public.orders; ALTER TABLE products REPLICA IDENTITY DEFAULT; REVOKE SELECT ON orders FROM sluice_replication; REVOKE USAGE ON SCHEMA cdc FROM sluice_reader');
  const broken = await examinePostgres(given(), 'now');
  assert.deepEqual(notOk(broken), ['wal_level problem', 'publication problem', 'replica identity problem', 'grants problem', 'slot problem']);
  assert.match(fixOf(broken, 'wal_level'), /ALTER SYSTEM SET wal_level = 'logical'; then restart PostgreSQL/);
  assert.equal(fixOf(broken, 'grants'), 'GRANT SELECT ON public.orders TO sluice_replication; GRANT USAGE ON SCHEMA cdc TO sluice_reader;');
  for (const check of ['publication', 'replica identity', 'grants']) await shop.owner.query(fixOf(broken, check).replace(/; then: .*/, ''));
  assert.deepEqual(notOk(await examinePostgres(given(), 'now')), ['wal_level problem', 'slot problem']);
  assert.deepEqual(notOk(await examinePostgres(given(), 'before')), ['wal_level problem'], 'before a start, what it makes is not missed');
});

test('PostgreSQL: a wrong password names the role, its setting and the command', async () => {
  const findings = await examinePostgres(given({ SLUICE_READER_PASSWORD: 'wrong' }), 'now');
  assert.deepEqual(notOk(findings).slice(0, 1), ['login sluice_reader problem']);
  assert.match(fixOf(findings, 'login sluice_reader'), /Set SLUICE_READER_PASSWORD to the password of sluice_reader, .*ALTER ROLE sluice_reader LOGIN PASSWORD/);
  assert.ok(!JSON.stringify(findings).includes('wrong'));
});

test('Redis: eviction, no append-only file and an access list that is too narrow are told, and their fixes mend them', async () => {
  const settings = redis.settings;
  assert.deepEqual(notOk(await examineRedis(settings, 'now')), []);
  for (const command of ['CONFIG SET maxmemory-policy allkeys-lru', 'CONFIG SET appendonly no', 'ACL SETUSER sluice-consumer -hincrby resetkeys ~customer:* ~cdc:*']) await run(command);
  const broken = await examineRedis(settings, 'now');
  assert.deepEqual(notOk(broken), ['maxmemory-policy problem', 'append-only file warning', 'access list problem']);
  assert.match(broken.find(({ check }) => check === 'access list')!.says, /hincrby/);
  await run(fixOf(broken, 'maxmemory-policy').replace(/, then .*/, ''));
  await run(fixOf(broken, 'append-only file').replace(/, then .*/, ''));
  await run(fixOf(broken, 'access list').replace('SLUICE_REDIS_PASSWORD', settings.SLUICE_REDIS_PASSWORD!.reveal()));
  assert.deepEqual(notOk(await examineRedis(settings, 'now')), []);
});

const run = (command: string): Promise<unknown> => {
  const [name = '', ...words] = command.split(' ');
  return raw.call(name, ...words);
};

test('a start stops before anything at a given server that is not sound, and tells the fix', async () => {
  await run('CONFIG SET maxmemory-policy allkeys-lru');
  const address = { ...postgres.environment, POSTGRES_HOST: '127.0.0.1', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(redis.port), REDIS_PASSWORD: redis.password.reveal(), SLUICE_REDIS_PASSWORD: 'given' };
  const { code, stdout } = await runSluice(address, ['up']);
  assert.equal(code, 1, stdout);
  for (const part of ['Nothing was started', "ALTER SYSTEM SET wal_level = 'logical'", 'CONFIG SET maxmemory-policy noeviction']) assert.ok(stdout.includes(part), stdout);
  assert.ok(!stdout.includes('Kafka on'), stdout);
});
