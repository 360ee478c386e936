/**
 * Goal: nothing listens beyond loopback, and each account is refused what is not its own.
 * Method: the listening sockets of every process of the running stack are read from /proc; each role tries what it must not do.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { PipelineError } from '../../src/domain/errors.ts';
import { requireSecret, secretNames, type SecretName } from '../../src/config.ts';
import { accessProbe } from '../../src/stack/redis.ts';
import { useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

/** Local addresses (hex, as the kernel prints them) of the listening sockets a process and its descendants hold. */
function listeners(roots: number[]): { pid: number; address: string; port: number }[] {
  const pids = new Set(roots);
  const parents = readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : '';
    return stat ? [[Number(name), Number(stat.replace(/.*\) /, '').split(' ')[1])] as const] : [];
  });
  for (let grown = true; grown; ) {
    grown = false;
    for (const [pid, parent] of parents) if (pids.has(parent) && !pids.has(pid)) grown = pids.add(pid).has(pid);
  }
  const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    read(file)
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => ({ address: fields[1]!.split(':')[0]!, port: parseInt(fields[1]!.split(':')[1]!, 16), inode: fields[9] })),
  );
  return [...pids].flatMap((pid) =>
    openFiles(pid).flatMap((target) => sockets.filter(({ inode }) => target === `socket:[${inode}]`).map(({ address, port }) => ({ pid, address, port }))),
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process ended meanwhile
  }
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => target(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

function target(link: string): string[] {
  try {
    return [readlinkSync(link)];
  } catch {
    return []; // closed meanwhile
  }
}

test('every listening socket of every process is on loopback', async () => {
  const { processes } = await stack.status();
  const found = listeners(processes.map(({ pid }) => pid));
  for (const port of ['POSTGRES_PORT', 'KAFKA_PORT', 'CONNECT_PORT', 'REDIS_PORT', 'TEMPORAL_PORT', 'TEMPORAL_UI_PORT'] as const) {
    assert.ok(found.some((socket) => socket.port === stack.settings[port]), `${port} is among the sockets looked at`);
  }
  const loopback = ['0100007F', '00000000000000000000000001000000', '0000000000000000FFFF00000100007F'];
  assert.deepEqual(found.filter(({ address }) => !loopback.includes(address)), []);
});

const refusals: [who: string, secret: SecretName, what: string, sql: string][] = [
  ['sluice_reader', 'SLUICE_READER_PASSWORD', 'a write', "INSERT INTO customers (first_name, last_name, email) VALUES ('a', 'b', 'c')"],
  ['sluice_reader', 'SLUICE_READER_PASSWORD', 'a delete', 'DELETE FROM orders'],
  ['sluice_writer', 'SLUICE_WRITER_PASSWORD', 'a new table', 'CREATE TABLE public.mine (id int)'],
  ['sluice_writer', 'SLUICE_WRITER_PASSWORD', 'a changed table', 'ALTER TABLE orders ADD COLUMN mine int'],
  ['sluice_writer', 'SLUICE_WRITER_PASSWORD', 'a truncate', 'TRUNCATE order_items'],
  ['sluice_writer', 'SLUICE_WRITER_PASSWORD', 'a heartbeat', 'UPDATE cdc.heartbeat SET ts = now()'],
  ['sluice_replication', 'SLUICE_REPLICATION_PASSWORD', 'an insert into a shop table', 'INSERT INTO orders (total_amount) VALUES (1)'],
  ['sluice_replication', 'SLUICE_REPLICATION_PASSWORD', 'a delete of heartbeats', 'DELETE FROM cdc.heartbeat'],
  ['sluice_replication', 'SLUICE_REPLICATION_PASSWORD', 'a delete of signals', 'DELETE FROM cdc.signal'],
  ['sluice_replication', 'SLUICE_REPLICATION_PASSWORD', 'a truncate of signals', 'TRUNCATE cdc.signal'],
  ['sluice_replication', 'SLUICE_REPLICATION_PASSWORD', 'a new table', 'CREATE TABLE cdc.mine (id int)'],
];

for (const [who, secret, what, sql] of refusals) {
  test(`${who} is refused ${what}`, async () => {
    const db = stack.connectAs(who, secret);
    try {
      assert.equal((await db.query('SELECT 1')).length, 1);
      await assert.rejects(db.query(sql), (error) => error instanceof PipelineError && error.code === 'postgres_refused' && /permission denied|must be owner/.test(error.message));
    } finally {
      await db.close();
    }
  });
}

test('the consumer of Redis is refused what concerns the whole server, and keys that are not the pipeline’s', async () => {
  const redis = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, username: 'sluice-consumer', password: requireSecret(stack.settings, 'SLUICE_REDIS_PASSWORD').reveal() });
  try {
    for (const command of [['FLUSHALL'], ['FLUSHDB'], ['CONFIG', 'GET', '*'], ['KEYS', '*'], ['ACL', 'LIST'], ['SHUTDOWN'], ['DEBUG', 'SLEEP', '0'], ['SET', 'elsewhere', '1']]) {
      await assert.rejects(redis.call(command[0]!, ...command.slice(1)), /NOPERM|DEBUG command not allowed/, command.join(' '));
    }
  } finally {
    redis.disconnect();
  }
});

test('the rules of the consumer name no command that the oldest Redis we take does not know', async () => {
  const redis = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
  try {
    const names = accessProbe(stack.settings).allow.split(' ').flatMap((rule) => (/^\+\w/.test(rule) ? [rule.slice(1)] : []));
    const docs = (await redis.call('COMMAND', 'DOCS', ...names)) as (string | string[])[]; // name, fields, name, fields, …
    const since = docs.flatMap((fields) => (Array.isArray(fields) ? [fields[fields.indexOf('since') + 1]!] : []));
    assert.equal(since.length, names.length);
    assert.deepEqual(since.filter((version) => version.localeCompare('7.0.99', 'en', { numeric: true }) > 0), []);
  } finally {
    redis.disconnect();
  }
});

test('no password stands in a log, a command line, the connector or the state file', async () => {
  const dataDir = stack.settings.SLUICE_DATA_DIR;
  const { processes } = await stack.status();
  const connector = await (await fetch(`http://127.0.0.1:${stack.settings.CONNECT_PORT}/connectors/sluice/config`)).text();
  const texts = [
    connector,
    read(join(dataDir, 'run', 'stack.json')),
    ...readdirSync(join(dataDir, 'logs')).map((name) => read(join(dataDir, 'logs', name))),
    ...processes.map(({ pid }) => read(`/proc/${pid}/cmdline`)),
  ];
  assert.ok(connector.includes('${env:'), 'the connector names its password, it does not hold it');
  for (const name of secretNames) {
    const password = requireSecret(stack.settings, name).reveal();
    assert.ok(!texts.some((text) => text.includes(password)), name);
  }
  assert.equal(statSync(join(dataDir, 'secrets.env')).mode & 0o777, 0o600);
});
