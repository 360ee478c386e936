/** Goal: what a batch shows is judged change by change, however many of them are about one row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import { rowName } from '../../src/domain/keys.ts';
import type { StoredRow } from '../../src/domain/stored-row.ts';
import { streamTables } from '../../src/domain/stream/tables.ts';
import { touchesOf } from '../../src/domain/stream/touches.ts';
import { aChange, aProduct } from '../builders.ts';
import { limits } from '../rule-limits.ts';

const products = streamTables.find(({ name }) => name === 'products')!;
const stocked = (stock: number | null, offset: number, op: 'c' | 'u' | 'd' | 'r' = 'u') => {
  const row = aProduct({ stock_quantity: stock });
  return decodeTableEvent(products, aChange({ table: 'products', op, before: op === 'u' || op === 'd' ? row : null, after: op === 'd' ? null : row, offset, commitMs: offset }));
};

/** `fired` or `resolved` with the offset of each, for a product whose stock was `stored`. */
function told(stored: number | null, events: ReturnType<typeof stocked>[]): string[] {
  const contributions = { counters: [], members: stored === null ? [] : [['stream:stock', '1', stored] as [string, string, number]] };
  const row: StoredRow = { version: { generation: 0, offset: 0n }, lsn: '1', contributions, text: '' };
  const { findings } = touchesOf({ table: products, events, stored: new Map([[rowName(products.entity, '1'), row]]), partition: 'products-0', limits });
  return findings.map(({ resolved, origin }) => `${resolved ? 'resolved' : 'fired'} ${origin.split(':')[1]}`);
}

test('each change of a stock is compared with the one before it, in the same batch too', () => {
  assert.deepEqual(told(12, [stocked(9, 1), stocked(30, 2)]), ['fired 1', 'resolved 2']);
  assert.deepEqual(told(5, [stocked(30, 1), stocked(8, 2)]), ['resolved 1', 'fired 2']);
  assert.deepEqual(told(12, [stocked(9, 1), stocked(8, 2)]), ['fired 1']);
  assert.deepEqual(told(limits.lowStockBelow + 1, [stocked(60, 1), stocked(50, 2)]), ['resolved 1'], 'it fired when the threshold was higher');
  assert.deepEqual(told(12, [stocked(9, 1, 'r'), stocked(8, 2)]), []);
});

test('what a snapshot reads is no news, but that a stock known as low is not', () => {
  assert.deepEqual(told(5, [stocked(50, 1, 'r'), stocked(60, 2)]), ['resolved 1', 'resolved 2']);
  assert.deepEqual(told(50, [stocked(5, 1, 'r')]), []);
  assert.deepEqual(told(null, [stocked(50, 1, 'r')]), []);
});

test('a product that is removed is not low any more', () => {
  assert.deepEqual(told(5, [stocked(5, 1, 'd')]), ['resolved 1']);
  assert.deepEqual(told(50, [stocked(50, 1, 'd')]), ['resolved 1'], 'whatever the threshold was when it fired');
});
