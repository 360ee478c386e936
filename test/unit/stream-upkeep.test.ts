/** Goal: every window that a commit changes gets its end, and nothing that may still be changed is removed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import { foldBatch, type WritePlan } from '../../src/domain/fold.ts';
import { streamTables } from '../../src/domain/stream/tables.ts';
import { tendWindows } from '../../src/domain/stream/upkeep.ts';
import { aChange, anOrder, anOrderItem } from '../builders.ts';

const nowMs = Date.parse('2026-11-22T12:00:00Z');
const hourMs = 3_600_000;
const tended = (plan: WritePlan) => tendWindows(plan, { nowMs, latenessMs: 120_000 });

function planOf(name: 'orders' | 'order_items', row: Record<string, unknown>): WritePlan {
  const table = streamTables.find((one) => one.name === name)!;
  const after = name === 'orders' ? anOrder({ id: 1, customer_id: 7, ...row }) : anOrderItem({ id: 1, product_id: 9, ...row });
  const events = [decodeTableEvent(table, aChange({ table: name, after, commitMs: nowMs }))];
  return foldBatch({ table, state: { generation: 0, mark: '0' }, events, marks: new Map(), stored: new Map(), changesMax: 0 });
}

test('a minute ends 25 hours after its beginning, an activity 49 hours after its last change, with the last order told', () => {
  const { trimmed, last, removed, lives } = tended(planOf('orders', { order_date: '2026-11-22T10:30:20Z' }));
  const [set, activity] = ['stream:recent:orders:7', 'realtime:customer:7:activity'];
  assert.deepEqual(trimmed, [{ hash: 'stream:touched', below: Date.parse('2026-11-21T00:00:00Z'), sets: [set] }]);
  assert.deepEqual(last, [{ fields: ['last_order_id', 'last_order_ms'], of: [[set, activity]] }]);
  assert.deepEqual([...lives], [[49 * hourMs, [set, activity]], [23.5 * hourMs, ['realtime:metrics:20261122_1030']]]);
  assert.deepEqual(removed.map(({ hashes }) => hashes), [[activity]]);
  assert.deepEqual([...new Set(removed[0]!.fields.map((field) => field.slice(0, 8)))], ['20261120', '20261119', '20261118']);
});

test('an order of a day that is over is in no set and no activity, and tells nothing', () => {
  const plan = planOf('orders', { order_date: '2026-11-20T23:59:59Z' });
  assert.deepEqual(tended(plan), { trimmed: [], last: [], removed: [], lives: new Map(), toldAbove: [], told: [] });
  assert.deepEqual([...plan.members.keys()], []);
  assert.deepEqual([...plan.counters.get('stream:stats:expired')!], [['metrics', 2], ['activity', 2]]);
});

test('of a velocity only minutes that are over are removed', () => {
  const { removed, lives } = tended(planOf('order_items', { created_at: '2026-11-22T11:30:00Z' }));
  const velocity = 'realtime:product:9:velocity';
  assert.deepEqual(lives.get(2 * hourMs), [velocity]);
  const [{ fields, hashes } = { fields: [], hashes: [] }] = removed;
  assert.deepEqual([hashes, fields[0], fields.at(-1)], [[velocity], '20261122_1100', '20261122_0701']);
});

test('what is dated ahead lives until its own day and minute are over', () => {
  const orders = tended(planOf('orders', { order_date: '2026-12-24T10:30:20Z' }));
  const untilMs = Date.parse('2026-12-26T00:00:00Z') + hourMs;
  assert.deepEqual(orders.lives.get(untilMs - nowMs), ['stream:recent:orders:7', 'realtime:customer:7:activity']);
  const items = tended(planOf('order_items', { created_at: '2026-11-22T15:00:00Z' }));
  assert.deepEqual(items.lives.get(5 * hourMs), ['realtime:product:9:velocity']);
});
