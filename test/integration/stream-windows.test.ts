/**
 * Goal: each minute of event time holds what SQL says about it, whatever happens to the rows later and whoever dies.
 * Method: the real stack under the generator's load; `sluice verify --stream` compares while consumers stand at a snapshot.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { names, rowName, streamKeys } from '../../src/domain/keys.ts';
import { minuteOf } from '../../src/domain/stream/minute.ts';
import { processOf } from '../faults.ts';
import { startStack, until, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await startStack();
});
after(() => stack.stop());

/** A comparison beside the traffic, when the consumers could not be held in time, is asked for again. */
async function assertWindows(): Promise<number> {
  for (let left = 5; ; left -= 1) {
    const { code, stdout, stderr } = await stack.sluice('verify', '--stream', '--json');
    const { checked, method } = JSON.parse(stdout || '{}') as { checked: number; method?: string };
    if (code === 0) return checked;
    if (method !== 'quiet' || left === 1) throw new Error(stdout + stderr);
  }
}
const window = (minute: string): Promise<Record<string, string>> => stack.redis.hash(stack.keys.of(`realtime:metrics:${minute}`));
const shown = async (minute: string, wanted: Record<string, string>): Promise<unknown> =>
  until(`the minute ${minute} holds ${JSON.stringify(wanted)}`, async () => {
    const found = await window(minute);
    return Object.entries(wanted).every(([field, value]) => (found[field] ?? '0') === value);
  });

test('under load the windows equal SQL by minute', async () => {
  await until('some minute has orders', async () => Number((await window(minuteOf(Date.now())!))['orders'] ?? 0) > 0);
  assert.ok((await assertWindows()) > 5);
});

test('an update, a cancellation and a delete correct the minute they belong to', async () => {
  const at = new Date(Math.floor(Date.now() / 60_000) * 60_000 - 5 * 3_600_000 - 7_000); // a minute that nobody else writes
  const minute = minuteOf(at.getTime())!;
  const iso = at.toISOString().slice(0, 19);
  const [order] = await stack.db.query<{ id: number }>('INSERT INTO orders (total_amount, order_date, status) VALUES (12.50, $1, $2), (7.25, $1, $2) RETURNING id', [iso, 'set aside']); // a status that the generator leaves alone
  await shown(minute, { orders: '2', revenue_cents: '1975', orders_cancelled: '0' });
  await stack.db.query('UPDATE orders SET total_amount = 20 WHERE id = $1', [order!.id]);
  await shown(minute, { orders: '2', revenue_cents: '2725' });
  await stack.db.query("UPDATE orders SET status = 'cancelled' WHERE id = $1", [order!.id]);
  await shown(minute, { orders: '2', revenue_cents: '725', orders_cancelled: '1' });
  await stack.db.query('DELETE FROM orders WHERE id = $1', [order!.id]);
  await shown(minute, { orders: '1', revenue_cents: '725', orders_cancelled: '0' });
  await stack.db.query("UPDATE orders SET order_date = order_date - interval '1 minute' WHERE order_date = $1", [iso]);
  await shown(minute, { orders: '0', revenue_cents: '0' });
  await shown(minuteOf(at.getTime() - 60_000)!, { orders: '1', revenue_cents: '725' });
  await assertWindows();
});

test('a change to a window that is over is dropped and counted, and leaves no key behind', async () => {
  const dropped = async (): Promise<number> => Number((await stack.redis.hash(stack.keys.of('stream:stats:expired')))['metrics'] ?? 0);
  const before = await dropped();
  const long = new Date(Date.now() - 30 * 3_600_000);
  const [order] = await stack.db.query<{ id: number }>('INSERT INTO orders (total_amount, order_date) VALUES (5, $1) RETURNING id', [long.toISOString().slice(0, 19)]);
  await stack.db.query('UPDATE orders SET total_amount = 6 WHERE id = $1', [order!.id]);
  await until('they are counted', async () => (await dropped()) >= before + 2);
  assert.deepEqual(await window(minuteOf(long.getTime())!), {});
});

test('a resync takes a row that is gone from the source out of the minute it was counted in', async () => {
  const minute = minuteOf(Date.now() - 3_600_000)!;
  const ghost = stack.keys.of(rowName('stream:order', '999999992'));
  const before = Number((await window(minute))['orders'] ?? 0);
  await stack.redis.set(ghost, JSON.stringify({ id: 999_999_992, _offset: 0, _gen: 0, _lsn: '0', _ts_ms: 0, _c: [[names.window(minute), 'orders', 1]], _s: [] }));
  await stack.redis.setFields(stack.keys.of(names.window(minute)), { orders: String(before + 1) });
  const { code, stderr } = await stack.sluice('resync', 'orders', '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(await stack.redis.strings([ghost]), [null]);
  await shown(minute, { orders: String(before) });
  await assertWindows();
});

test('a killed stream consumer goes on where its fence is, and the replica is none of its business', async () => {
  const { pid } = await processOf(stack, 'stream-consumer');
  process.kill(pid, 'SIGKILL');
  await until('it is back', async () => (await processOf(stack, 'stream-consumer')).pid !== pid);
  const fences = async (): Promise<string> => JSON.stringify(await stack.redis.strings([0, 1, 2, 3].map((partition) => streamKeys(stack.keys).offset(`${stack.settings.TOPIC_PREFIX}.public.orders`, partition))));
  const before = await fences();
  await until('its fences move', async () => (await fences()) !== before);
  await assertWindows();
});
