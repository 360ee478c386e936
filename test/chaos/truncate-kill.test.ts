/**
 * Goal: a TRUNCATE whose consumer is killed in the middle of the sweep is carried through by the next one, exactly once.
 * Method: the failpoint kills it after the first page of keys; the truncate is counted once and `sluice verify` compares all.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRecovered, landed } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const truncates = async (): Promise<number> => Number((await stack.redis.hash(stack.keys.of('cdc:stats:order_items')))['t'] ?? 0);

test('a sweep that is killed half way is finished by the next consumer', async (t) => {
  const [first] = await stack.db.query<{ id: string }>('INSERT INTO order_items (quantity, unit_price) SELECT g, 1.25 FROM generate_series(1, 20000) g RETURNING id::text');
  const last = stack.keys.row('order_item', String(Number(first!.id) + 19_999));
  await until('the rows are there', async () => (await stack.redis.strings([last]))[0] ?? undefined, 120_000);
  const before = await truncates();
  stack.arm('cdc.sweep', 'kill');
  await stack.db.query('TRUNCATE order_items');
  await until('the kill landed', async () => !stack.isArmed('cdc.sweep'));
  assert.equal(await truncates(), before, 'the record was not committed yet');
  landed(t, 'a consumer killed within the sweep of a TRUNCATE');
  await until('the truncate is counted', async () => (await truncates()) > before, 120_000);
  assert.equal(await truncates(), before + 1);
  assert.equal((await stack.redis.hash(stack.keys.status))['order_items'], 'running');
  await assertRecovered(stack);
});
