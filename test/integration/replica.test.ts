/**
 * Goal: what is written in PostgreSQL is what stands in Redis, for every kind of change and value the schema allows.
 * Method: rows written by hand on the real stack, read back from Redis under the public contract.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertVerified, until, useStack, withoutGenerator, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const row = async (key: string): Promise<Record<string, unknown> | null> => {
  const [text] = await stack.redis.strings([stack.keys.of(key)]);
  return text ? (JSON.parse(text) as Record<string, unknown>) : null;
};
const insert = async (sql: string): Promise<string> => String((await stack.db.query<{ id: number }>(sql))[0]!.id);

test('an insert, an update and a delete by hand follow each other into Redis', () =>
  withoutGenerator(stack, async () => {
    const id = await insert(`INSERT INTO customers (first_name, last_name, email, state) VALUES ('Grace', 'Hopper', 'grace-${Date.now()}@example.com', 'VA') RETURNING id`);
    const created = await until('the row', async () => (await row(`customer:${id}`)) ?? undefined);
    assert.equal(created['first_name'], 'Grace');
    assert.equal(created['phone'], null);
    assert.match(String(created['created_at']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    await stack.db.query(`UPDATE customers SET state = 'MD' WHERE id = ${id}`);
    await until('the update', async () => (await row(`customer:${id}`))?.['state'] === 'MD');
    await stack.db.query(`DELETE FROM customers WHERE id = ${id}`);
    await until('the delete', async () => (await row(`customer:${id}`)) === null);
  }));

test('a primary-key change is a move: the old key goes, the new one comes', async () => {
  const id = await insert('INSERT INTO order_items (quantity, unit_price) VALUES (2, 12.50) RETURNING id');
  const moved = String(1_000_000_000 + Number(id));
  await until('the old key', async () => (await row(`order_item:${id}`)) ?? undefined);
  await stack.db.query(`UPDATE order_items SET id = ${moved} WHERE id = ${id}`);
  const found = await until('the new key', async () => (await row(`order_item:${moved}`)) ?? undefined);
  assert.equal(found['unit_price'], '12.50');
  await until('the old key is gone', async () => (await row(`order_item:${id}`)) === null);
  await stack.db.query(`DELETE FROM order_items WHERE id = ${moved}`);
});

test('NULL, NaN, infinite times, microseconds and any text keep their value', async () => {
  const customer = await insert(`INSERT INTO customers (first_name, last_name, email) VALUES (E'Zoë \\u0007 "\\\\" 漢字 🚲', 'x', 'v-${Date.now()}@example.com') RETURNING id`);
  const values: [sql: string, column: string, value: unknown][] = [
    ["'NaN'::numeric, 'pending', '2026-11-22 10:00:00.123456'", 'total_amount', 'NaN'],
    ["-0.01, 'pending', 'infinity'", 'order_date', 'infinity'],
    ["99999999.99, NULL, '-infinity'", 'order_date', '-infinity'],
    ["0.00, 'cancelled', '2026-11-22 10:00:00.123456'", 'order_date', '2026-11-22T10:00:00.123456Z'],
    ["1.10, 'pending', '2026-11-22 10:00:00.1'", 'order_date', '2026-11-22T10:00:00.1Z'],
    ["1.10, 'pending', '0044-03-15 12:00:00 BC'", 'order_date', '-0043-03-15T12:00:00Z'],
    ["1.10, 'pending', '12026-01-01 00:00:00'", 'order_date', '+12026-01-01T00:00:00Z'],
  ];
  const ids: string[] = [];
  for (const [sql, column, value] of values) {
    const id = await insert(`INSERT INTO orders (customer_id, total_amount, status, order_date) VALUES (${customer}, ${sql}) RETURNING id`);
    ids.push(id);
    const order = await until(`order with ${sql}`, async () => (await row(`order:${id}`)) ?? undefined);
    assert.equal(order[column], value);
  }
  assert.equal((await until('the customer', async () => (await row(`customer:${customer}`)) ?? undefined))['first_name'], 'Zoë \u0007 "\\" 漢字 🚲');
  await assertVerified(stack);
  await stack.db.query(`DELETE FROM orders WHERE id IN (${ids.join(',')})`);
});

test('the replica equals the source, row by row and sum by sum, while the generator writes', async () => {
  await assertVerified(stack);
});
