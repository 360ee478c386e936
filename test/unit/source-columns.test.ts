/** Goal: an image is read by the types the source has, and a row that cannot be counted any more is told. Method: changed tables by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTableEvent, type TableEvent } from '../../src/domain/change-event.ts';
import { asInSource, decodeByVersions, doesFit, onlyCounted, whyUncountable, type SourceColumns } from '../../src/domain/source-columns.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import type { Table } from '../../src/domain/tables/table.ts';
import type { Row } from '../../src/domain/columns.ts';
import { aChange, anOrder, imageOf } from '../builders.ts';

const sqlTypes = { integer: 'integer', text: 'text', money: 'numeric(10,2)', timestamp: 'timestamp without time zone', any: 'jsonb' } as const;
const columns = (changes: Record<string, string | null> = {}): SourceColumns =>
  Object.fromEntries(
    Object.entries({ ...Object.fromEntries(Object.entries(orders.columns).map(([name, type]) => [name, sqlTypes[type]])), ...changes }).flatMap(([name, type]) => (type === null ? [] : [[name, type]])),
  );

function decode(changes: Record<string, string | null>, row: Row): TableEvent {
  const { id, ...rest } = row;
  const after = Object.fromEntries(Object.entries({ id, ...rest }).filter(([name]) => changes[name] !== null)) as Row;
  return decodeTableEvent(asInSource(orders, columns(changes)), aChange({ after }));
}

test('the source as the repository knows it is the table itself', () => {
  assert.deepEqual(asInSource(orders, columns()).columns, orders.columns);
});

test('an added column is read by its type', () => {
  const event = decode({ weight: 'numeric', note: 'jsonb' }, anOrder({ weight: 'POSITIVE_INFINITY', note: '{}' }));
  assert.ok(event.kind === 'change');
  assert.deepEqual([imageOf(event)?.['weight'], imageOf(event)?.['note'], event.foreign], ['Infinity', '{}', false]);
});

test('a column nobody counts may be dropped, renamed or retyped', () => {
  for (const [changes, row] of [
    [{ shipping_address: null }, anOrder()],
    [{ shipping_address: null, address: 'text' }, anOrder({ address: 'x' })],
    [{ shipping_address: 'integer' }, anOrder({ shipping_address: 5 })],
  ] as const) assert.equal(decode(changes, row).kind, 'change', JSON.stringify(changes));
});

test('a counted column that is gone or has another type rejects the row by name', () => {
  for (const [changes, row, named] of [
    [{ status: null }, anOrder(), /column status is missing/],
    [{ status: 'integer' }, anOrder({ status: 3 }), /column status is not text/],
    [{ total_amount: 'double precision' }, anOrder({ total_amount: 1.5 }), /column total_amount is not a finite decimal/],
    [{ order_date: 'date' }, anOrder({ order_date: '2026-11-22Z' }), /column order_date is not a timestamp/],
    [{ customer_id: 'uuid' }, anOrder({ customer_id: 'c0ffee' }), /column customer_id is not an integer/],
  ] as const) {
    const event = decode(changes, row);
    assert.ok(event.kind === 'rejected', JSON.stringify(changes));
    assert.equal(event.reason, 'bad_column');
    assert.match(event.detail, named);
  }
});

test('an image with a column the source did not have when asked is told, and passes', () => {
  const event = decode({}, anOrder({ extra: 1 }));
  assert.equal(event.kind === 'change' && event.foreign, true);
});

test('an image is read by the newest version it fits, by name and by type', () => {
  const [now, before, once] = [{ note: 'bigint' }, { note: 'timestamp(3) without time zone' }, { remark: 'character varying(40)' }].map((changes) => asInSource(orders, columns(changes as Record<string, string>))) as [Table, Table, Table];
  const read = (row: Row): TableEvent => decodeByVersions([now, before, once], aChange({ after: row }), false);
  for (const [row, found] of [
    [anOrder({ note: 5 }), 5],
    [anOrder({ note: null }), null],
    [anOrder({ note: '+292278994-08-17T07:12:55.807Z' }), 'infinity'],
    [anOrder({ remark: 'x' }), undefined],
  ] as const) {
    const event = read(row);
    assert.ok(event.kind === 'change' && doesFit(event), JSON.stringify(row));
    assert.equal(imageOf(event)?.['note'], found);
  }
});

test('an image that fits no version is told by the newest', () => {
  const event = decodeByVersions([asInSource(orders, columns({ note: 'bigint' })), asInSource(orders, columns({ note: 'numeric' }))], aChange({ after: anOrder({ note: {} }) }), false);
  assert.equal(event.kind === 'rejected' && event.detail, 'column note is not an integer');
  assert.equal(doesFit(event), false);
});

test('the counted columns of a table are those its contributions read', () => {
  assert.deepEqual(tables.map((table) => Object.keys(onlyCounted(table).columns)), [['state'], ['category'], ['customer_id', 'order_date', 'total_amount', 'status'], ['product_id', 'quantity', 'unit_price']]);
});

test('as long as its counted columns are there, an image of any others is taken as it was sent', () => {
  const { shipping_address: _, ...rest } = anOrder({ created_at: 7, elsewhere: 'x' });
  const event = decodeTableEvent(onlyCounted(orders), aChange({ after: rest }));
  assert.ok(event.kind === 'change');
  assert.deepEqual(imageOf(event), rest);
  assert.equal(decodeTableEvent(onlyCounted(orders), aChange({ after: anOrder({ total_amount: 5 }) })).kind, 'rejected');
});

test('a table that cannot be counted is told by the column that is missing or something else', () => {
  for (const [changes, why] of [
    [{}, ''],
    [{ status: 'character varying(20)', customer_id: 'bigint', total_amount: 'numeric', order_date: 'timestamp with time zone' }, ''],
    [{ shipping_address: null, created_at: 'jsonb' }, ''],
    [{ total_amount: null }, 'column total_amount is missing'],
    [{ total_amount: 'double precision' }, 'column total_amount is not a finite decimal'],
    [{ order_date: 'date' }, 'column order_date is not a timestamp'],
    [{ _c: 'text' }, "column _c begins with _, which is the engine's"],
  ] as [Record<string, string | null>, string][]) assert.equal(whyUncountable(asInSource(orders, columns(changes))), why, JSON.stringify(changes));
});
