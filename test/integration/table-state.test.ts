/**
 * Goal: what changes a table as a whole is bounded, and forgets what a new log may not be compared with; no restart of Redis hides a row from it; a client leaves a server that
 * takes no writes any more.
 * Method: the real scripts on a real Redis; large rows, a generation of a new log, a primary that is made a replica.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { createSuperviseActivities, type SuperviseDeps } from '../../src/activities/supervise.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { formatStoredRow, type StoredRow } from '../../src/domain/stored-row.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { products } from '../../src/domain/tables/products.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import type { RowChange } from '../../src/domain/change-event.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { GenerationLost, sweepTable } from '../../src/replica/sweep.ts';
import { changeTableState, raiseGeneration } from '../../src/replica/table-state.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { until } from '../stack.ts';

const keys = createKeys('{test}:');
let redis: TestRedis;
before(async () => {
  redis = await startRedis('{test}:');
});
after(() => redis.stop());

test('a sweep of large rows sends a few megabytes at once, and takes back what each of them had added', async () => {
  const count = 300;
  const text = 'x'.repeat(200_000);
  for (let id = 1; id <= count; id += 1) {
    const change = { offset: BigInt(id), lsn: '5', commitMs: 0, contributions: { counters: [['metrics:orders', 'live', 1n]], members: [] } } as unknown as RowChange;
    await redis.admin.set(keys.row('order', String(id)), formatStoredRow(change, JSON.stringify({ id, text }), 0));
  }
  await redis.admin.setFields(keys.of('metrics:orders'), { live: String(count) });
  let largest = 0;
  const store = {
    ...redis.store,
    commit: (...[names, args]: Parameters<typeof redis.store.commit>) => {
      largest = Math.max(largest, args.reduce<number>((sum, arg) => sum + String(arg).length, 0));
      return redis.store.commit(names, args);
    },
  };
  const { swept } = await sweepTable({ redis: store, keys, table: orders, isStale: () => true });
  assert.equal(swept, count);
  assert.deepEqual(await redis.admin.hash(keys.of('metrics:orders')), { live: '0' });
  assert.ok(largest < 10 * 1024 * 1024, `${largest} bytes in one commit`);
});

test('a Redis that has forgotten the generation of a sweep keeps its rows', async () => {
  const change = { offset: 1n, lsn: '5', commitMs: 0, contributions: { counters: [], members: [] } } as unknown as RowChange;
  await redis.admin.set(keys.row('product', '1'), formatStoredRow(change, '{"id":1}', 0));
  const sweep = { redis: redis.store, keys, table: products, isStale: ({ version }: StoredRow) => version.generation < 1, atLeast: 1 };
  await assert.rejects(sweepTable(sweep), GenerationLost);
  await raiseGeneration(redis.store, keys, 'products');
  assert.equal((await sweepTable(sweep)).swept, 1);
});

test('a log that begins anew is not measured by a TRUNCATE of the one before', async () => {
  await changeTableState(redis.store, keys, 'orders', (state) => ({ ...state, generation: 4, mark: '100000' }));
  const { mark } = await raiseGeneration(redis.store, keys, 'orders');
  const anew = await raiseGeneration(redis.store, keys, 'orders', true);
  assert.deepEqual([mark, anew.mark, anew.generation], ['100000', '0', 6]);
});

test('a walk over keys that a restart of Redis interrupts begins again: none is passed over', async () => {
  const ids = Array.from({ length: 5000 }, (_, id) => keys.of(`processor:${id}`));
  await Promise.all(ids.map((key) => redis.admin.set(key, '1')));
  const seen = new Set<string>();
  let pages = 0;
  for await (const page of redis.store.scan(keys.of('processor:*'), 100)) {
    for (const key of page) seen.add(key);
    if ((pages += 1) === 20) await redis.restart();
  }
  assert.equal(seen.size, ids.length);
  await redis.admin.delete(ids);
});

test('of a connector that was restarted in vain every table says so, until it works again', async () => {
  const { reportConnector } = createSuperviseActivities({ redis: redis.store, keys, tables } as unknown as SuperviseDeps);
  const status = createReplicaStatus(redis.store, keys);
  await reportConnector('restarted in vain');
  assert.deepEqual((await status.conditions()).map(({ table, state, why }) => `${table} ${state}: ${why}`).sort(), tables.map(({ name }) => `${name} halted: restarted in vain`).sort());
  await reportConnector('');
  assert.deepEqual(await status.conditions(), []);
});

test('a client leaves a primary that was made a replica, and is told of its new connection', async () => {
  const admin = new Redis({ port: redis.port, password: redis.password.reveal() });
  const idOf = async (): Promise<string | undefined> => /^id=(\d+) .*user=sluice-consumer/m.exec(String(await admin.client('LIST')))?.[1];
  const before = await idOf();
  await admin.replicaof('127.0.0.1', 1);
  await assert.rejects(redis.store.set(keys.of('processor:x'), '1'), (error) => error instanceof PipelineError && error.code === 'redis_unavailable');
  await until('it has connected anew', async () => (await idOf()) !== before);
  await admin.replicaof('NO', 'ONE');
  await until('it writes again', () => redis.store.set(keys.of('processor:x'), '2').then(() => true, () => false));
  admin.disconnect();
});
