/**
 * Goal: the generator goes on whatever others do to the shop, and what it writes is consistent.
 * Method: a brisk one of our own beside the stack's, on the real database, while customers and products are taken away.
 */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { runGenerator } from '../../src/generator/runner.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('totals equal the items while rows are removed under its hands, and it stops when told', async (t) => {
  const db = stack.connectAs('sluice_writer', 'SLUICE_WRITER_PASSWORD');
  const stop = new AbortController();
  const log = pino(new Writable({ write: (_line, _encoding, done) => done() }));
  const lastOrder = async (): Promise<number> => (await db.query<{ id: number | null }>('SELECT max(id) AS id FROM orders'))[0]?.id ?? 0;
  /** The generator may be quicker, or lock rows the other way round: then again. */
  const takeAway = (sql: string) => until(sql, () => db.query(sql).then(() => true, () => false));
  const start = await lastOrder();
  const run = runGenerator({ db, log, signal: stop.signal, seed: 7, recordsPerBatch: 20, intervalMs: 5, now: () => new Date() });
  t.after(() => stop.abort());
  for (let round = 1; round <= 3; round += 1) {
    await takeAway('WITH o AS (SELECT id FROM orders ORDER BY id LIMIT 20), i AS (DELETE FROM order_items WHERE order_id IN (SELECT id FROM o)) DELETE FROM orders WHERE id IN (SELECT id FROM o)');
    await takeAway('DELETE FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)');
    await until(`orders of round ${round}`, async () => (await lastOrder()) > start + 40 * round);
  }
  stop.abort();
  await run;
  const wrong = await db.query(
    'SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id HAVING o.total_amount <> sum(i.quantity * i.unit_price) AND o.id > $1',
    [start],
  );
  assert.deepEqual(wrong, []);
  await db.close();
});
