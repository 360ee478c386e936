/** Goal: a value that was not sent becomes the one the row has, wherever that stands, or the event is rejected. Method: batches by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTableEvent, type TableEvent } from '../../src/domain/change-event.ts';
import { unavailableValue, type Row } from '../../src/domain/columns.ts';
import { formatStoredRow, parseStoredRow, type StoredRow } from '../../src/domain/stored-row.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { idsParked, settleParked } from '../../src/domain/parked.ts';
import { aChange, anOrder, imageOf } from '../builders.ts';

const decode = (op: 'c' | 'u' | 'd', offset: number, columns: Partial<Row>): TableEvent =>
  decodeTableEvent(orders, aChange({ op, offset, before: anOrder(), after: anOrder(columns) }));
const unsent = { shipping_address: unavailableValue, total_amount: '20.00' };

function stored(columns: Partial<Row>): Map<string, StoredRow> {
  const change = decode('c', 1, columns);
  assert.ok(change.kind === 'change');
  return new Map([['order:1', parseStoredRow(formatStoredRow(change, change.image!, 0))]]);
}

const filled = (events: TableEvent[], rows = new Map<string, StoredRow>(), mark = ''): TableEvent =>
  settleParked({ table: orders, state: { generation: 0, mark: '0' }, events, stored: rows, marks: new Map(idsParked(events).map((id) => [id, mark])) }).events.at(-1)!;

test('the stored row gives the value, and the image is counted with it', () => {
  const event = filled([decode('u', 2, unsent)], stored({ shipping_address: 'long' }));
  assert.ok(event.kind === 'change');
  assert.equal(imageOf(event)?.['shipping_address'], 'long');
  assert.deepEqual(event.contributions.counters.find(([, field]) => field === 'total_cents'), ['metrics:revenue', 'total_cents', 2000]);
});

test('an earlier image in the batch goes before the stored row, also through another update that did not send it', () => {
  const event = filled([decode('u', 2, { shipping_address: 'newer' }), decode('u', 3, unsent), decode('u', 4, unsent)], stored({ shipping_address: 'long' }));
  assert.equal(imageOf(event)?.['shipping_address'], 'newer');
});

test('a stored NULL is a value', () => {
  const event = filled([decode('u', 2, unsent)], stored({ shipping_address: null }));
  assert.equal(imageOf(event)?.['shipping_address'], null);
});

test('without a row, or after a delete in the batch, nothing is guessed', () => {
  for (const [events, rows] of [
    [[decode('u', 2, unsent)], new Map<string, StoredRow>()],
    [[decode('d', 2, {}), decode('u', 3, unsent)], stored({ shipping_address: 'long' })],
  ] as const) {
    const event = filled([...events], rows);
    assert.deepEqual(event.kind === 'rejected' && [event.reason, event.id], ['unavailable_value', '1']);
  }
});

test('an image that was refused, or that is behind one that was rejected, gives no value', () => {
  const late: TableEvent = { ...decode('u', 100, { shipping_address: 'older' }), replay: { of: 100n, generation: 0 } } as TableEvent;
  const event = filled([late, decode('u', 210, unsent)], stored({ shipping_address: 'long' }));
  assert.ok(event.kind === 'change');
  assert.equal(imageOf(event)?.['shipping_address'], 'long', 'the replay came too late');
  const rejected = { kind: 'rejected', offset: 205n, op: 'u', reason: 'bad_column', detail: '', id: '1' } as const;
  for (const behind of [filled([rejected, decode('u', 210, unsent)], stored({ shipping_address: 'long' })), filled([decode('u', 210, unsent)], stored({ shipping_address: 'long' }), '1:205:0')]) {
    assert.equal(behind.kind === 'rejected' && behind.reason, 'unavailable_value');
  }
  assert.equal(filled([decode('u', 210, unsent)], stored({ shipping_address: 'long' }), '-1:0:0').kind, 'change', 'the row has moved past the letter');
  const after = filled([rejected, decode('u', 206, { shipping_address: 'newer' }), decode('u', 210, unsent)], stored({ shipping_address: 'long' }));
  assert.equal(after.kind === 'change' && imageOf(after)?.['shipping_address'], 'newer');
});

test('a column that is counted is counted only when its value is known', () => {
  const event = filled([decode('u', 2, { status: unavailableValue })], stored({ status: 'shipped' }));
  assert.ok(event.kind === 'change');
  assert.ok(event.contributions.counters.some(([hash, field]) => hash === 'metrics:orders:by_status' && field === 'shipped'));
});
