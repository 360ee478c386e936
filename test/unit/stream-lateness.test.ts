/** Goal: an event is late when its minute was closed at its commit, ahead when its time is more than a minute beyond it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import { outOfOrder } from '../../src/domain/stream/lateness.ts';
import { streamTables } from '../../src/domain/stream/tables.ts';
import { aChange, anOrder } from '../builders.ts';

const orders = streamTables.find(({ name }) => name === 'orders')!;
const latenessMs = 120_000;

function judged(orderDate: string, committed: string, op: 'c' | 'r' | 'u' = 'c') {
  const after = anOrder({ order_date: orderDate });
  return outOfOrder(decodeTableEvent(orders, aChange({ op, before: op === 'u' ? after : null, after, commitMs: Date.parse(committed) })), latenessMs);
}

test('an order is in time until its minute is closed', () => {
  assert.equal(judged('2026-11-22T10:00:00Z', '2026-11-22T10:00:00Z'), null);
  assert.equal(judged('2026-11-22T10:00:00Z', '2026-11-22T10:02:59.999Z'), null);
  assert.equal(judged('2026-11-22T10:00:59.999Z', '2026-11-22T10:02:59.999Z'), null);
  assert.equal(judged('2026-11-22T10:00:00Z', '2026-11-22T10:03:00Z'), 'late');
  assert.equal(judged('2026-11-22T10:00:59.999Z', '2026-11-22T10:03:00Z'), 'late');
  assert.equal(judged('1969-12-31T23:59:59.9999Z', '2026-11-22T10:03:00Z'), 'late');
});

test('a time that is more than a minute beyond the commit is ahead', () => {
  assert.equal(judged('2026-11-22T10:01:00Z', '2026-11-22T10:00:00Z'), null);
  assert.equal(judged('2026-11-22T10:01:00.001Z', '2026-11-22T10:00:00Z'), 'ahead');
});

test('what is no new event is neither', () => {
  for (const op of ['r', 'u'] as const) {
    assert.equal(judged('2026-11-22T10:00:00Z', '2026-11-22T12:00:00Z', op), null);
    assert.equal(judged('2026-11-22T10:00:00Z', '2026-11-22T08:00:00Z', op), null);
  }
});
