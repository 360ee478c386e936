import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowChange } from '../../src/domain/change-event.ts';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import type { Row } from '../../src/domain/columns.ts';
import { formatStoredRow, isNewer, parseStoredRow } from '../../src/domain/stored-row.ts';
import { orderItems } from '../../src/domain/tables/order-items.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import type { Table } from '../../src/domain/tables/table.ts';
import { aChange, anOrder, anOrderItem } from '../builders.ts';

function changeOf(table: Table, after: Row, offset: bigint | number = 7): RowChange {
  const event = decodeTableEvent(table, aChange({ table: table.name, after, offset }));
  return event.kind === 'change' ? event : assert.fail(JSON.stringify(event));
}

test('a row reads back with the version and the contributions it was written with', () => {
  const change = changeOf(orders, anOrder({ id: 3, total_amount: '12.34' }), 41n);
  const { version, contributions } = parseStoredRow(formatStoredRow(change, change.image!, 2));
  assert.deepEqual(version, { generation: 2, offset: 41n });
  assert.deepEqual(contributions, change.contributions);
});

test('the text is the row by its SQL names, then the members of the engine', () => {
  const change = changeOf(orders, anOrder({ shipping_address: null }));
  const text = formatStoredRow(change, change.image!, 0);
  const row = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(Object.keys(row), [...Object.keys(orders.columns), '_offset', '_gen', '_lsn', '_ts_ms', '_c', '_s']);
  assert.equal(row['total_amount'], '10.00');
  assert.equal(row['shipping_address'], null);
  assert.equal(row['_offset'], 7);
});

test('contributions beyond 2^53 read back digit for digit', () => {
  const change = changeOf(orderItems, anOrderItem({ quantity: 900_000_007, unit_price: '99999999.99' }));
  const text = formatStoredRow(change, change.image!, 0);
  assert.match(text, /9000000069099999993/);
  assert.deepEqual(parseStoredRow(text).contributions, change.contributions);
});

test('an unknown column passes through unharmed, long integers inside it too', () => {
  const change = changeOf(orders, anOrder({ total_amount: '1.00' }));
  const image = `${change.image!.slice(0, -1)},"big":9007199254740993,"deep":{"list":[9007199254740993,"x"]}}`;
  const text = formatStoredRow(change, image, 0);
  assert.match(text, /"big":9007199254740993,"deep":\{"list":\[9007199254740993,"x"\]\}/);
  assert.deepEqual(parseStoredRow(text).version, { generation: 0, offset: 7n });
});

test('text that this engine did not write is refused', () => {
  for (const text of ['', 'x', 'null', '5', '[]', '{}', '{"id":1}', '{"_offset":"1","_c":[],"_s":[]}', '{"_offset":1,"_s":[]}', '{"_offset":1,"_c":[]}']) {
    assert.throws(() => parseStoredRow(text), SyntaxError, text);
  }
});

test('a generation goes before every offset; within one the offset decides', () => {
  const at = (generation: number, offset: bigint) => ({ generation, offset });
  assert.ok(isNewer(at(0, 2n), at(0, 1n)));
  assert.ok(!isNewer(at(0, 1n), at(0, 1n)));
  assert.ok(!isNewer(at(0, 1n), at(0, 2n)));
  assert.ok(isNewer(at(1, 0n), at(0, 900n)));
  assert.ok(!isNewer(at(0, 900n), at(1, 0n)));
  assert.ok(isNewer(at(0, 9007199254740993n), at(0, 9007199254740992n)));
});
