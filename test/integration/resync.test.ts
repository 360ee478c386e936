/**
 * Goal: a table that is read again ends equal to its source, whatever happens meanwhile, and what was in Redis only is gone.
 * Method: the replica is damaged behind the engine's back on the real stack, under traffic; the command line mends it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { scopes } from '../../src/activities/rebuild-status.ts';
import { requireSecret } from '../../src/config.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import type { RebuildProgress } from '../../src/workflows/contract.ts';
import { assertVerified, until, useStack, type Outcome, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

type Result = RebuildProgress & { id: string; status: string };

const ended = ({ code, stdout, stderr }: Outcome): Result => {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Result;
};
const row = async (key: string): Promise<string | null> => (await stack.redis.strings([stack.keys.of(key)]))[0] ?? null;
const conditions = async (): Promise<string[]> => Object.keys(await stack.redis.hash(stack.keys.conditions)).filter((field) => !field.startsWith('heartbeat'));
const progressOf = async (id: string): Promise<(RebuildProgress & { status: string }) | undefined> => {
  const { stdout } = await stack.sluice('rebuild', 'status', '--json');
  const found = (JSON.parse(stdout || '{}') as Record<string, { status: string; progress: RebuildProgress | null }>)[id];
  return found?.progress ? { ...found.progress, status: found.status } : undefined;
};
/** Enough rows that a snapshot takes several chunks, so that something can happen in its middle. */
const fillItems = (count: number): Promise<unknown> => stack.db.query(`INSERT INTO order_items (quantity, unit_price) SELECT 1, 2.50 FROM generate_series(1, ${count})`);

/** Stops a process; the answer lets it go on. */
async function freeze(name: string): Promise<() => void> {
  const { pid } = (await stack.status()).processes.find((one) => one.name === name)!;
  process.kill(pid, 'SIGSTOP');
  return () => void process.kill(pid, 'SIGCONT');
}

/** Lets `work` happen while a process stands still, so that what waits for it cannot be over before. */
async function whileFrozen<T>(name: string, work: () => Promise<T>): Promise<T> {
  const release = await freeze(name);
  return work().finally(release);
}
const reading = (): Promise<unknown> => until('it reads', async () => (await progressOf('rebuild/order_items'))?.phase === 'reading', 120_000);

/** Begins to read order_items again; `work` happens when Debezium has read of it and nothing of that is applied. */
async function amidResync(work: () => Promise<void>): Promise<void> {
  const release = await whileFrozen('connect', async () => {
    assert.equal((await stack.sluice('resync', 'order_items', '--detach')).code, 0);
    await reading(); // what was before is applied
    return freeze('cdc-consumer');
  });
  try {
    await until('rows were read', async () => ((await progressOf('rebuild/order_items'))?.rowsRead ?? 0) > 0, 120_000);
    await work();
  } finally {
    release();
  }
}

test('a resync removes a row that only Redis has and restores one that Redis lost, under traffic', async () => {
  const [first, second] = await stack.db.query<{ id: number }>('SELECT id FROM products ORDER BY id LIMIT 2');
  const ghost = 'product:999999991';
  await until('the rows', async () => (await row(`product:${first!.id}`)) !== null && (await row(`product:${second!.id}`)) !== null);
  const copied = JSON.parse((await row(`product:${first!.id}`))!) as Record<string, unknown>;
  await stack.redis.set(stack.keys.of(ghost), JSON.stringify({ ...copied, id: 999_999_991, _c: [], _s: [] }));
  const lost = JSON.parse((await row(`product:${second!.id}`))!) as { _c: [string, string, number][] };
  await stack.redis.delete([stack.keys.of(`product:${second!.id}`)]);
  const admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
  for (const [hash, field, amount] of lost._c) await admin.hincrby(stack.keys.of(hash), field, -amount);
  admin.disconnect();
  assert.equal((await stack.sluice('verify', '--json')).code, 1, 'the damage shows');

  const result = ended(await stack.sluice('resync', 'products', '--json'));
  assert.equal(result.mode, 'snapshot');
  assert.equal(result.rowsSwept, 1);
  assert.equal(await row(ghost), null);
  assert.deepEqual(await conditions(), []);
  await assertVerified(stack);
});

test('a TRUNCATE in the middle of a resync costs another round and ends exact', async () => {
  await fillItems(25_000);
  await amidResync(async () => {
    await stack.db.query('TRUNCATE order_items');
    await stack.db.query('INSERT INTO order_items (quantity, unit_price) VALUES (3, 1.10)');
  });
  const result = await until('the end', async () => {
    const now = await progressOf('rebuild/order_items');
    return now?.status === 'COMPLETED' && now;
  }, 180_000);
  assert.ok(result.round >= 2, `the TRUNCATE was seen: round ${result.round}`);
  await assertVerified(stack);
});

test('a worker that is killed in the middle of a resync costs nothing but time', async () => {
  await fillItems(15_000);
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'worker')!;
  await amidResync(async () => void process.kill(pid, 'SIGKILL'));
  await until('the end', async () => (await progressOf('rebuild/order_items').catch(() => undefined))?.status === 'COMPLETED', 180_000);
  assert.deepEqual(await conditions(), []);
  await assertVerified(stack);
});

test('signals of earlier snapshots do not pile up in the source', async () => {
  const signals = async (): Promise<number> => Number((await stack.db.query<{ n: string }>('SELECT count(*)::text AS n FROM cdc.signal'))[0]!.n);
  await fillItems(15_000);
  ended(await stack.sluice('resync', 'order_items', '--json'));
  const ofOne = await signals();
  assert.ok(ofOne > 6, `Debezium writes per chunk: ${ofOne}`);
  for (let more = 0; more < 2; more += 1) {
    ended(await stack.sluice('resync', 'customers', '--json'));
    assert.ok((await signals()) < ofOne, 'those of the larger table are gone');
  }
});

test('a cancelled resync stops Debezium, leaves no condition, and the next one works', async () => {
  await fillItems(25_000);
  const cancelled = await whileFrozen('connect', async () => {
    await stack.sluice('resync', 'order_items', '--detach');
    await reading();
    return stack.sluice('rebuild', 'cancel', '--table', 'order_items');
  });
  assert.match(cancelled.stdout, /Cancelling rebuild\/order_items/);
  await until('it is over', async () => (await progressOf('rebuild/order_items'))?.status === 'CANCELLED');
  assert.deepEqual(await conditions(), []);
  const result = ended(await stack.sluice('resync', 'order_items', '--json'));
  assert.equal(result.round, 1, 'the rest of the cancelled scan is not taken for this one');
  await assertVerified(stack);
  await stack.db.query('TRUNCATE order_items');
});

test('a table that is told as being read again, while nobody reads it, is read again', async () => {
  const status = createReplicaStatus(stack.redis, stack.keys);
  const generation = async (): Promise<number> => (await readTableState(stack.redis, stack.keys, 'products')).generation;
  const before = await generation();
  await status.set('products', 'rebuilding', scopes.rebuild, 'of a workflow that has ended, in a Redis that went back');
  await until('it is read again', async () => (await generation()) > before && (await conditions()).length === 0, 120_000);
  await assertVerified(stack);
});

test('what somebody else wrote among the rows is removed, whatever it is', async () => {
  const foreign = ['999999991', '999999992'].map((id) => stack.keys.row('customer', id));
  await stack.redis.set(foreign[0]!, '{"id":999999991}');
  await stack.redis.set(foreign[1]!, 'nonsense');
  ended(await stack.sluice('resync', 'customers', '--json'));
  assert.deepEqual(await stack.redis.strings(foreign), [null, null]);
  await assertVerified(stack);
});

test('an added and a dropped column are read again without a command', async () => {
  const [one] = await stack.db.query<{ id: number }>('SELECT id FROM products ORDER BY id LIMIT 1');
  const colour = async (): Promise<unknown> => (JSON.parse((await row(`product:${one!.id}`)) ?? '{}') as Record<string, unknown>)['colour'];
  await stack.db.query("ALTER TABLE products ADD COLUMN colour text DEFAULT 'red'");
  await until('the default is in a row that nobody touched', async () => (await colour()) === 'red', 120_000);
  await until('nothing is said of it any more', async () => (await conditions()).length === 0, 120_000);
  await assertVerified(stack);
  await stack.db.query('ALTER TABLE products DROP COLUMN colour');
  await until('the column is gone', async () => (await colour()) === undefined, 120_000);
  await until('nothing is said of it any more', async () => (await conditions()).length === 0, 120_000);
  await assertVerified(stack);
});

test('a table that is unknown, or no table at all, is refused as wrong usage', async () => {
  assert.equal((await stack.sluice('resync', 'nonsense')).code, 2);
  assert.equal((await stack.sluice('resync')).code, 2);
  assert.equal((await stack.sluice('rebuild', '--table', 'nonsense')).code, 2);
});
