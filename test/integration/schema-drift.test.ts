/**
 * Goal: columns may be added and dropped under the running pipeline; the replica follows by itself. Method: a stack of its own, ALTER TABLE by hand, then `sluice verify`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { assertVerified, startStack, until, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await startStack();
});
after(() => stack.stop());

const sql = (text: string): Promise<Record<string, unknown>[]> => stack.db.query<Record<string, unknown>>(text);
const row = async (name: string): Promise<string | null> => (await stack.redis.strings([stack.keys.of(name)]))[0] ?? null;
const state = async (table: string): Promise<string | undefined> => (await stack.redis.hash(stack.keys.status))[table];
const dead = async (table: string): Promise<number> => Number((await stack.redis.hash(stack.keys.of(`cdc:stats:${table}`)))['dead'] ?? 0);
const calm = async (): Promise<boolean> => (await createReplicaStatus(stack.redis, stack.keys).conditions()).length === 0;

/** Alters, sees that the table was told as something else than running, and that it ends equal to the source without help. */
async function alter(table: string, statement: string): Promise<void> {
  await sql(statement);
  await until(`${table} is told after: ${statement}`, async () => (await state(table)) !== 'running', 120_000);
  await until(`everything runs again after: ${statement}`, calm, 300_000, 500);
  await assertVerified(stack);
}

test('a column is added with a default, beyond 2^53, and dropped again: every row follows', async () => {
  await alter('products', 'ALTER TABLE products ADD COLUMN rank bigint NOT NULL DEFAULT 9007199254740993');
  assert.match((await row('product:1')) ?? '', /"rank":9007199254740993,/);
  await alter('products', 'ALTER TABLE products DROP COLUMN rank');
  assert.doesNotMatch((await row('product:1')) ?? '', /"rank"/);
  assert.equal(await dead('products'), 0);
});

test('infinite and unreal amounts in a numeric of any size keep their value', async () => {
  await alter('products', 'ALTER TABLE products ADD COLUMN weight numeric');
  const [product] = await sql("INSERT INTO products (name, price, weight) VALUES ('heavy', 1, 'Infinity') RETURNING id");
  await sql("INSERT INTO products (name, price, weight) VALUES ('light', 1, '-Infinity'), ('odd', 1, 'NaN'), ('exact', 1, 12345678901234567890.000000000000001)");
  const text = await until('the product', async () => (await row(`product:${String(product!['id'])}`)) ?? undefined);
  assert.match(text, /"weight":"Infinity"/);
  await assertVerified(stack);
});
