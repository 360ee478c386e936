/**
 * Goal: a connector that fails is started again by its supervisor; one that begins anew, or a lost slot, has everything read anew, and a
 * topic is read again only while it is the whole.
 * Method: the source is damaged on a real stack of its own; `sluice status` tells, `sluice resync --all` mends.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { requireSecret } from '../../src/config.ts';
import { connectClientOf, connectorName } from '../../src/stack/connector.ts';
import { rebuildEverythingId, type RebuildProgress } from '../../src/workflows/contract.ts';
import { assertVerified, startStack, until, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await startStack();
});
after(() => stack.stop());

/** Servers that do not answer in time leave nothing to read. */
const connector = async (): Promise<{ state: string; supervisor: { failures: number; last: string } | null }> =>
  JSON.parse((await stack.sluice('connector', 'status', '--json')).stdout || '{"state":"UNKNOWN","supervisor":null}') as never;
const slot = { gone: "SELECT pg_drop_replication_slot('sluice')", anew: "SELECT pg_create_logical_replication_slot('sluice', 'pgoutput')" };

/** The connector's session is ended again and again until the slot can be dropped. */
const dropSlot = (): Promise<unknown> =>
  until('the slot is dropped', async () => {
    await stack.db.query("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'sluice' AND active");
    return stack.db.query(slot.gone).then(
      () => true,
      () => false,
    );
  });

const everyTableHalts = (reason: RegExp): Promise<unknown> =>
  until('every table is halted', async () => {
    const { code, stdout } = await stack.sluice('status', '--json');
    const { halted } = JSON.parse(stdout || '{"halted":{}}') as { halted: Record<string, string> };
    return code === 3 && ['customers', 'products', 'orders', 'order_items'].every((table) => reason.test(halted[table] ?? ''));
  }, 120_000);

async function haltsAndIsMended(reason: RegExp, meanwhile = async (): Promise<void> => undefined): Promise<void> {
  await everyTableHalts(reason);
  await until('the connector is stopped', async () => (await connectClientOf(stack.settings).connectorStatus(connectorName))?.connector.state === 'STOPPED');
  const restart = await stack.sluice('connector', 'restart');
  assert.equal(restart.code, 1);
  assert.match(restart.stderr, /resync --all/);
  await meanwhile();
  const resync = await stack.sluice('resync', '--all', '--json');
  assert.equal(resync.code, 0, resync.stderr);
  await until('healthy', async () => (await stack.status()).healthy, 180_000);
  await assertVerified(stack);
}

test('a rebuild from the topic makes rows, sums and event counters anew', async () => {
  const stats = stack.keys.of('cdc:stats:customers');
  const counted = Number((await stack.redis.hash(stats))['c'] ?? 0);
  await stack.redis.setFields(stats, { c: String(counted + 1_000_000) });
  const [state] = Object.keys(await stack.redis.hash(stack.keys.of('metrics:customers:by_state')));
  const ghost = JSON.stringify({ id: 999_999_992, _offset: 0, _gen: 0, _lsn: '0', _ts_ms: 0, _c: [['metrics:customers:by_state', state, 1]], _s: [] });
  await stack.redis.set(stack.keys.of('customer:999999992'), ghost);
  await stack.redis.increment(stack.keys.of('metrics:customers:by_state'), state!);

  const { code, stdout, stderr } = await stack.sluice('rebuild', '--table', 'customers', '--json');
  assert.equal(code, 0, stderr);
  const result = JSON.parse(stdout) as RebuildProgress;
  assert.equal(result.mode, 'topic', result.note);
  assert.equal(result.rowsSwept, 1);
  const again = Number((await stack.redis.hash(stats))['c'] ?? 0);
  assert.ok(again >= counted && again < counted + 1_000_000, `events are counted from the topic: ${again}`);
  await assertVerified(stack);
});

test('a rebuild of everything goes on without the command that asked for it', async () => {
  const { code, stderr } = await stack.sluice('rebuild', '--detach');
  assert.equal(code, 0, stderr);
  type Rebuilds = Record<string, { status: string; progress: RebuildProgress }>;
  const { progress } = await until('it is over', async () => {
    const found = (JSON.parse((await stack.sluice('rebuild', 'status', '--json')).stdout) as Rebuilds)[rebuildEverythingId];
    return found?.status === 'COMPLETED' && found;
  }, 180_000, 1000);
  assert.equal(progress.mode, 'topic', progress.note);
  await assertVerified(stack);
});

test('a restart by command gives the slot to a new session, and loses nothing', async () => {
  const session = async (): Promise<number | undefined> => (await stack.db.query<{ pid: number }>("SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = 'sluice' AND active"))[0]?.pid;
  const before = await session();
  const { code, stderr } = await stack.sluice('connector', 'restart');
  assert.equal(code, 0, stderr);
  await until('a new session', async () => ![undefined, before].includes(await session()), 120_000);
  await until('healthy', async () => (await stack.status()).healthy, 120_000);
  await assertVerified(stack);
});

test('a connector task that failed is restarted', async () => {
  await stack.db.query('ALTER ROLE sluice_replication NOLOGIN');
  await stack.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sluice_replication'");
  await until('the task failed and was restarted', async () => ((await connector()).supervisor?.failures ?? 0) > 0, 120_000);
  await stack.db.query('ALTER ROLE sluice_replication LOGIN');
  await until('it runs again', async () => (await connector()).state === 'RUNNING', 180_000);
  await assertVerified(stack);
});

/** The supervisor of the connector sees nothing of what happens meanwhile. */
async function whileWorkerStands(work: () => Promise<void>): Promise<void> {
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'worker')!;
  process.kill(pid, 'SIGSTOP');
  await work().finally(() => process.kill(pid, 'SIGCONT'));
}

const deleteConnector = async (): Promise<void> => assert.equal((await fetch(`http://127.0.0.1:${stack.settings.CONNECT_PORT}/connectors/${connectorName}`, { method: 'DELETE' })).status, 204);

/** As if Kafka had lost the topics of Connect: it knows neither the connector nor how far it was. */
async function forgetConnector(): Promise<void> {
  const connect = connectClientOf(stack.settings);
  await connect.stop(connectorName);
  await until('it is stopped', async () => (await connect.connectorStatus(connectorName))?.tasks.length === 0);
  await until('its offsets are deleted', () => connect.deleteSourceOffsets(connectorName).then(() => true, () => false));
  await deleteConnector();
}

test('a connector that is gone and is registered by hand begins anew: what it skips is read from the source, and the topic is not taken for the whole again', async () => {
  const [order] = await stack.db.query<{ id: number }>("INSERT INTO orders (total_amount, status) VALUES (1.00, 'set aside') RETURNING id"); // a status that the generator leaves alone
  const row = async (): Promise<string | null> => (await stack.redis.strings([stack.keys.row('order', String(order!.id))]))[0] ?? null;
  await until('the order', async () => (await row()) !== null);
  await whileWorkerStands(async () => {
    await forgetConnector();
    await stack.db.query(`DELETE FROM orders WHERE id = ${order!.id}`);
    const { code, stderr } = await stack.sluice('connector', 'apply');
    assert.equal(code, 0, stderr);
  });
  await until('the order is gone', async () => (await row()) === null, 300_000);
  await until('no table is being read again', async () => !Object.values(await stack.redis.hash(stack.keys.status)).includes('rebuilding'), 300_000);
  await until('healthy', async () => (await stack.status()).healthy, 120_000);
  await assertVerified(stack);
  const { stdout } = await stack.sluice('rebuild', '--table', 'orders', '--json');
  assert.match((JSON.parse(stdout) as { note: string }).note, /no longer has its beginning/);
  assert.equal(await row(), null, 'its creation is still in the topic');
});

test('a slot that is gone halts every table, and resync --all makes the replica exact', async () => {
  await dropSlot();
  await stack.db.query("DELETE FROM order_items WHERE id IN (SELECT id FROM order_items LIMIT 3)");
  const reason = /slot sluice is gone.*resync --all/;
  await haltsAndIsMended(reason, async () => {
    const admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
    await admin.flushall();
    admin.disconnect();
    await everyTableHalts(reason); // also in a Redis that has forgotten it
  });
});

test('a slot that was created anew with a gap halts every table, and resync --all makes the replica exact, although the connector is deleted meanwhile', async () => {
  await whileWorkerStands(async () => { // or it may see that the slot is gone
    await dropSlot();
    await stack.db.query("INSERT INTO products (name, price) VALUES ('in the gap', 1.00)");
    await stack.db.query(slot.anew);
  });
  await haltsAndIsMended(/created anew.*resync --all/, deleteConnector); // Connect remembers how far it was
  const rebuild = await stack.sluice('rebuild', '--table', 'products', '--json');
  assert.match((JSON.parse(rebuild.stdout) as { note: string }).note, /no longer has its beginning/, 'history with a gap is not taken for the whole');
});
