/** Goal: a column that the rows as a whole have not followed is drift; damage to single rows, and everything else, is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queryable } from '../../src/adapters/postgres.ts';
import type { RedisStore } from '../../src/adapters/redis.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { absent } from '../../src/verify/compare.ts';
import { createDriftWatch, tableOf } from '../../src/verify/drift.ts';

interface Shop {
  /** Columns of orders in the source. */
  columns: string[];
  /** Rows of orders in Redis. */
  rows: object[];
  status?: Record<string, string>;
}

async function watching({ columns, rows, status = {} }: Shop) {
  const db: Queryable = {
    query: async <T>(sql: string, params: unknown[] = []) => {
      if (sql.includes('information_schema')) return (params[0] === 'orders' ? columns.map((name) => ({ name, type: 'integer' })) : []) as T[];
      return (sql.includes('orders') ? rows.map((_, id) => ({ id: String(id) })) : []) as T[];
    },
  };
  const redis = { hash: async () => status, strings: async (keys: string[]) => keys.map((_, at) => JSON.stringify(rows[at])) } as unknown as RedisStore;
  const watch = createDriftWatch({ db, redis, keys: createKeys('') });
  await watch.refresh();
  return watch;
}

const added = { key: 'order:1', column: 'x', expected: '1', found: absent };
const dropped = { key: 'order:1', column: 'y', expected: absent, found: '2' };
const wrong = { key: 'order:1', column: 'x', expected: '1', found: '2' };

test('a column that most rows lack was added, one that most rows still have was dropped: both are drift', async () => {
  const watch = await watching({ columns: ['id', 'x'], rows: [{ id: 1, y: 2 }, { id: 2, y: 2 }, { id: 3, x: 1 }] });
  assert.deepEqual([added, dropped, wrong].map(watch.isDrift), [true, true, false]);
  watch.note(added);
  watch.note(dropped);
  assert.deepEqual(watch.found(), [{ table: 'orders', why: 'column x added, column y dropped', differences: 2 }]);
});

test('one damaged row among sound ones is no drift', async () => {
  const watch = await watching({ columns: ['id', 'x'], rows: [{ id: 1 }, { id: 2, x: 1 }, { id: 3, x: 1, y: 2 }] });
  assert.deepEqual([added, dropped].map(watch.isDrift), [false, false]);
  assert.deepEqual(watch.found(), []);
});

test('a table that is read again drifts as a whole, with its sets and counters; others do not, nor does a halted one', async () => {
  const status = { orders: 'rebuilding', 'orders:why': 'resync', products: 'halted', customers: 'running' };
  const watch = await watching({ columns: ['id', 'x'], rows: [{ id: 1, x: 1 }], status });
  const counter = (key: string) => ({ key, field: 'f', expected: '1', found: '2', difference: '1' });
  const keys = ['metrics:orders', 'metrics:orders:by_status', 'metrics:revenue', 'metrics:order_items', 'metrics:product:1', 'metrics:products', 'metrics:customers:by_state'];
  assert.deepEqual(keys.filter((key) => watch.isDrift(counter(key))), ['metrics:orders', 'metrics:orders:by_status', 'metrics:revenue']);
  assert.ok(watch.isDrift(wrong));
  assert.ok(watch.isDrift({ key: 'customer:1:orders', member: '1', expected: absent, found: '1' }));
  assert.deepEqual(['order:1', 'order_item:1', 'customer:1', 'customer:1:orders', 'product:1'].map(tableOf), ['orders', 'order_items', 'customers', 'orders', 'products']);
});
