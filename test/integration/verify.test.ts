/**
 * Goal: verify finds what is wrong, all of it and nothing else, while the shop goes on.
 * Method: on the real stack with its generator running, damage the replica on purpose and compare what verify names.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { requireSecret } from '../../src/config.ts';
import { pagesOf } from '../../src/verify/source.ts';
import { assertVerified, runSluice, until, useStack, verify, type TestStack } from '../stack.ts';
import { damageReplica, insertVictims, namedBy } from './verify-mutations.ts';

let stack: TestStack;
let admin: Redis;
before(async () => {
  stack = await useStack();
  admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
});
after(async () => {
  admin.disconnect();
  await stack.stop();
});

const count = async (table: string): Promise<number> => Number((await stack.db.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${table}`))[0]?.rows);

test('a damaged replica: verify ends with 1 and names exactly the damage; repaired, it ends with 0', async () => {
  const victims = await insertVictims(stack.db);
  const last = stack.keys.of(`order_item:${victims.item}`);
  const set = stack.keys.of(`customer:${victims.customer}:orders`);
  await until('the victims in Redis', async () => (await admin.exists(last)) === 1 && (await admin.zcard(set)) === 2 && (await admin.hexists(stack.keys.of(`metrics:product:${victims.product}`), 'items')) === 1);
  const damage = await damageReplica(admin, victims, stack.keys.prefix);
  try {
    const { code, report } = await verify(stack);
    assert.deepEqual(namedBy(report), damage.expected);
    assert.equal(code, 1);
    assert.equal(report.ok, false);
  } finally {
    await damage.repair();
  }
  await assertVerified(stack);
});

test('a parked row, and what it adds to counters and sets, is left out and told; once a newer image was applied it is judged', async () => {
  // Of a status that the generator never touches.
  const [order] = await stack.db.query<{ id: number; customer: number }>(
    `WITH c AS (INSERT INTO customers (first_name, last_name, email) VALUES ('Par', 'Ked', gen_random_uuid() || '@example.com') RETURNING id)
     INSERT INTO orders (customer_id, total_amount, status) SELECT id, 1, 'refunded' FROM c RETURNING id, customer_id AS customer`,
  );
  const name = `order:${order!.id}`;
  const set = `customer:${order!.customer}:orders`;
  const [key, setKey, revenue, parked] = [stack.keys.of(name), stack.keys.of(set), stack.keys.of('metrics:revenue'), stack.keys.parkedMark('orders', String(order!.id))];
  const text = await until('the order in Redis', async () => (await admin.get(key)) ?? undefined);
  const row = JSON.parse(text) as { _offset: number; _gen: number; _c: [string, string, number][]; _s: [string, string, number][] };
  // As if the last good image had been another one: 5.00 instead of 1.00, at another time.
  const moved = row._c.filter(([hash]) => hash === 'metrics:revenue');
  const older = { ...row, total_amount: '5.00', _c: row._c.map(([hash, field, amount]) => [hash, field, hash === 'metrics:revenue' ? 500 : amount]), _s: [[set, String(order!.id), 1]] };
  await admin.mset(key, JSON.stringify(older), parked, `${row._offset}:${row._offset + 1}:${row._gen}`);
  for (const [, field] of moved) await admin.hincrby(revenue, field, 400);
  await admin.zadd(setKey, 1, String(order!.id));
  try {
    let skipped = await stack.sluice('verify');
    for (let left = 4; left > 0 && skipped.stdout.includes('did not catch up'); left -= 1) skipped = await stack.sluice('verify');
    assert.equal(skipped.code, 0, skipped.stdout);
    assert.match(skipped.stdout, new RegExp(`^parked, not compared: .*\\bcdc:parked:orders:${order!.id}\\b`, 'm'));
    assert.match(skipped.stdout, /^Redis equals PostgreSQL, \d+ parked rows? left out\.$/m);

    await admin.hincrby(revenue, 'cents:refunded', 1);
    const wrong = await verify(stack);
    await admin.hincrby(revenue, 'cents:refunded', -1);
    assert.deepEqual(namedBy(wrong.report), ['metrics:revenue cents:refunded 1'], 'beside what the parked row holds the counter is judged');

    await admin.set(parked, `${row._offset - 2}:${row._offset - 1}:${row._gen}`);
    const { code, report } = await verify(stack);
    assert.deepEqual(namedBy(report), [`${name} total_amount`, `${set} ${order!.id}`, ...moved.map(([hash, field]) => `${hash} ${field} 400`)].sort());
    assert.equal(report.parked.includes(`cdc:parked:orders:${order!.id}`), false);
    assert.equal(code, 1);
  } finally {
    await admin.set(key, text);
    for (const [, field] of moved) await admin.hincrby(revenue, field, -400);
    await admin.zadd(setKey, row._s[0]![2], String(order!.id));
    await admin.del(parked);
    await stack.db.query('DELETE FROM orders WHERE id = $1', [order!.id]);
  }
});

test('a table that is being read again drifts: what differs in it is told as that, and is no equality', async () => {
  const { orders: [order] } = await insertVictims(stack.db);
  const key = stack.keys.of(`order:${order}`);
  const row = await until('the order in Redis', async () => (await admin.get(key)) ?? undefined);
  await admin.hset(stack.keys.status, { orders: 'rebuilding', 'orders:why': 'for the test' });
  await admin.set(key, row.replace('"refunded"', '"returned"'));
  try {
    const { code, report } = await verify(stack);
    assert.deepEqual(namedBy(report), []);
    assert.deepEqual(report.drift.map(({ table, why }) => [table, why]), [['orders', 'rebuilding: for the test']]);
    assert.deepEqual([report.ok, code], [false, 1]);
  } finally {
    await admin.set(key, row);
    await admin.hset(stack.keys.status, 'orders', 'running');
    await admin.hdel(stack.keys.status, 'orders:why');
  }
  await assertVerified(stack);
});

test('every row of every table is compared', async () => {
  const tables = ['customers', 'products', 'orders', 'order_items'];
  const rowsOf = async (): Promise<number> => (await Promise.all(tables.map(count))).reduce((sum, rows) => sum + rows, 0);
  const before = await rowsOf();
  const { rows, sets } = (await verify(stack)).report;
  const slack = Math.abs((await rowsOf()) - before) + 50; // the shop goes on: removals and insertions may balance
  assert.ok(Math.abs(rows.checked - before) <= slack, `${rows.checked} of ${before} rows`);
  assert.ok(Math.abs(sets.checked - (await count('customers'))) <= slack, `${sets.checked} sets`);
});

test('suspects are looked at again in pages that hold few bytes, those that the source does not have too', async () => {
  const large = await stack.db.query<{ id: string }>(
    `INSERT INTO customers (first_name, last_name, email, address) SELECT 'La', 'Rge', gen_random_uuid() || '@example.com', repeat('x', 3 << 20) FROM generate_series(1, 5) RETURNING id::text`,
  );
  const ids = [...large.map(({ id }) => id), '-1', 'none'];
  assert.deepEqual(await pagesOf(stack.db, 'customers', ids, 100), [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  assert.deepEqual(await pagesOf(stack.db, 'customers', ids, 1), ids.map((id) => [id]));
  await stack.db.query(`DELETE FROM customers WHERE id = ANY ($1::bigint[])`, [large.map(({ id }) => id)]);
});

test('a server that does not answer: exit code 3 and a message that names it', async () => {
  for (const name of ['POSTGRES_PORT', 'REDIS_PORT', 'KAFKA_PORT']) {
    const outcome = await runSluice({ ...stack.env, [name]: '1' }, ['verify']);
    assert.equal(outcome.code, 3, outcome.stderr);
    assert.match(outcome.stderr, /not reachable|did not answer/);
  }
});
