/** Goal: a table counts as read when Debezium has read it for us, not when the rest of an earlier scan is done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDrift } from '../../src/replica/columns.ts';
import { foldNotification } from '../../src/activities/scan.ts';
import type { Scan } from '../../src/workflows/contract.ts';

const empty: Scan = { cursor: '0', begun: [], done: [], rowsRead: {}, rowsTotal: {}, failed: '' };
const told = (type: string, data: Record<string, string>, aggregate = 'Incremental Snapshot'): string =>
  JSON.stringify({ id: 'newest', type, aggregate_type: aggregate, additional_data: { connector_name: 'shop', ...data } });
const chunk = (table: string, index: number, total = 4): string =>
  told('IN_PROGRESS', { current_collection_in_progress: `public.${table}`, chunk_index: String(index), total_chunks: String(total), total_rows: '400' });
const scanned = (table: string, status = 'SUCCEEDED'): string => told('TABLE_SCAN_COMPLETED', { scanned_collection: `public.${table}`, status });
const fold = (texts: string[], tables = ['orders'], initial = false): Scan => texts.reduce((scan, text) => foldNotification(scan, text, tables, initial), empty);

test('a table is done when its scan is, and rows are counted by chunks', () => {
  const half = fold([told('STARTED', { data_collections: 'public.orders' }), chunk('orders', 1), chunk('orders', 2)]);
  assert.deepEqual({ read: half.rowsRead['orders'], total: half.rowsTotal['orders'], done: half.done }, { read: 200, total: 400, done: [] });
  assert.deepEqual(fold([chunk('orders', 1), scanned('orders')]).done, ['orders']);
});

test('the end of an earlier scan, which has the id of the newest signal, does not count', () => {
  const rest = [chunk('orders', 3), chunk('orders', 4), scanned('orders')];
  assert.deepEqual(fold(rest).done, []);
  assert.deepEqual(fold([...rest, chunk('orders', 1), scanned('orders')]).done, ['orders']);
});

test('another table, or another kind of snapshot, changes nothing', () => {
  assert.deepEqual(fold([chunk('customers', 1), scanned('customers')]), empty);
  assert.deepEqual(fold([told('SKIPPED', {}, 'Initial Snapshot')]), empty);
  assert.deepEqual(fold([chunk('orders', 1), scanned('orders')], ['orders'], true), empty);
  assert.deepEqual(fold(['', 'null', '{"type":1}', 'nonsense']), empty);
});

test('a connector that begins anew has forgotten what it was asked', () => {
  const initial = (...types: string[]): string[] => types.map((type) => told(type, {}, 'Initial Snapshot'));
  for (const types of [['STARTED', 'COMPLETED'], ['COMPLETED'], ['STARTED', 'SKIPPED']]) assert.equal(fold([chunk('orders', 1), ...initial(...types)]).lost, true);
  for (const types of [['STARTED'], ['SKIPPED']]) assert.equal(fold([chunk('orders', 1), ...initial(...types)]).lost, undefined);
});

test('an empty table is done, one that cannot be read or was stopped fails', () => {
  assert.deepEqual(fold([scanned('orders', 'EMPTY')]).done, ['orders']);
  assert.match(fold([chunk('orders', 1), scanned('orders', 'SQL_EXCEPTION')]).failed, /orders \(SQL_EXCEPTION\)/);
  const [begins, stopped] = ['STARTED', 'ABORTED'].map((type) => told(type, { data_collections: 'public.orders' })) as [string, string];
  for (const before of [begins, chunk('orders', 1)]) assert.match(fold([before, stopped]).failed, /orders was stopped/);
  assert.equal(fold([stopped, scanned('orders', 'SQL_EXCEPTION')]).failed, '', 'of an earlier scan');
  assert.equal(fold([told('ABORTED', { data_collections: 'public.customers' })]).failed, '');
});

test('a first snapshot is done as a whole, and one that starts again counts from nothing', () => {
  const initial = (type: string, data: Record<string, string> = {}): string => told(type, data, 'Initial Snapshot');
  const read = initial('TABLE_SCAN_COMPLETED', { scanned_collection: 'public.orders', total_rows_scanned: '12', status: 'SUCCEEDED' });
  assert.deepEqual(fold([initial('STARTED'), read], ['orders', 'customers'], true).rowsRead, { orders: 12 });
  assert.deepEqual(fold([read, initial('STARTED')], ['orders'], true).rowsRead, {});
  for (const end of ['COMPLETED', 'SKIPPED']) assert.deepEqual(fold([read, initial(end)], ['orders', 'customers'], true).done, ['orders', 'customers']);
  assert.deepEqual(fold([read, initial('ABORTED')], ['orders', 'customers'], true).done, []);
});

test('drift is told column by column', () => {
  const before = JSON.stringify({ id: 'integer', phone: 'text', old: 'text' });
  assert.equal(describeDrift(before, JSON.stringify({ id: 'integer', phone: 'bigint', colour: 'text' })), 'column colour added, column old dropped, column phone is now bigint');
  assert.equal(describeDrift(JSON.stringify({ id: 'integer', _ddl: 'a' }), JSON.stringify({ id: 'integer', _ddl: 'b' })), 'columns were altered and are what they were');
});
