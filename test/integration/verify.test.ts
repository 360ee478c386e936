/**
 * Goal: verify finds what is wrong, all of it and nothing else, while the shop goes on.
 * Method: on the real stack with its generator running, damage the replica on purpose and compare what verify names.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { requireSecret } from '../../src/config.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import { assertVerified, runSluice, until, useStack, type TestStack } from '../stack.ts';
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
    const outcome = await stack.sluice('verify', '--json');
    const report = JSON.parse(outcome.stdout) as VerifyReport;
    assert.deepEqual(namedBy(report), damage.expected);
    assert.equal(outcome.code, 1);
    assert.equal(report.ok, false);
  } finally {
    await damage.repair();
  }
  await assertVerified(stack);
});

test('a parked row is left out, and told, until a newer image has been applied to it', async () => {
  // Of a status that the generator never touches.
  const [order] = await stack.db.query<{ id: number }>("INSERT INTO orders (total_amount, status) VALUES (1, 'refunded') RETURNING id");
  const key = stack.keys.row('order', String(order!.id));
  const parked = stack.keys.parked('orders', String(order!.id));
  const row = JSON.parse(await until('the order in Redis', async () => (await admin.get(key)) ?? undefined)) as { _offset: number };
  await admin.mset(key, JSON.stringify({ ...row, shipping_address: 'an older image' }), parked, String(row._offset));
  try {
    const skipped = await stack.sluice('verify');
    assert.equal(skipped.code, 0, skipped.stdout);
    assert.match(skipped.stdout, new RegExp(`^parked, not compared: .*\\b${parked}\\b`, 'm'));
    assert.match(skipped.stdout, /^Redis equals PostgreSQL, \d+ parked rows? left out\.$/m);

    await admin.set(parked, String(row._offset - 1));
    const judged = await stack.sluice('verify', '--json');
    const report = JSON.parse(judged.stdout) as VerifyReport;
    assert.deepEqual(namedBy(report), [`order:${order!.id} shipping_address`]);
    assert.equal(report.parked.includes(parked.slice(stack.keys.prefix.length)), false);
    assert.equal(judged.code, 1);
  } finally {
    await admin.set(key, JSON.stringify(row));
    await admin.del(parked);
    await stack.db.query(`DELETE FROM orders WHERE id = ${order!.id}`);
  }
});

test('every row of every table is compared', async () => {
  const tables = ['customers', 'products', 'orders', 'order_items'];
  const rowsOf = async (): Promise<number> => (await Promise.all(tables.map(count))).reduce((sum, rows) => sum + rows, 0);
  const before = await rowsOf();
  const { rows, sets } = JSON.parse((await stack.sluice('verify', '--json')).stdout) as VerifyReport;
  const slack = Math.abs((await rowsOf()) - before) + 50; // the shop goes on: removals and insertions may balance
  assert.ok(Math.abs(rows.checked - before) <= slack, `${rows.checked} of ${before} rows`);
  assert.ok(Math.abs(sets.checked - (await count('customers'))) <= slack, `${sets.checked} sets`);
});

test('a server that does not answer: exit code 3 and a message that names it', async () => {
  for (const name of ['POSTGRES_PORT', 'REDIS_PORT', 'KAFKA_PORT']) {
    const outcome = await runSluice({ ...stack.env, [name]: '1' }, ['verify']);
    assert.equal(outcome.code, 3, outcome.stderr);
    assert.match(outcome.stderr, /not reachable|did not answer/);
  }
});
