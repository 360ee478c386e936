/** Goal: each fault of the staged rows is told by the check that is meant for it and by no other. Method: one sound shop, spoilt in one way at a time. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type DuckDb, openDuckDb } from '../../src/adapters/duckdb.ts';
import type { QualityResult, RowCounts } from '../../src/workflows/batch-contract.ts';
import { checkQuality } from '../../src/batch/quality.ts';
import { micros, type StagedShop, writeStaged } from '../staged-shop.ts';

const window = { start: '2026-11-21T14:00:00Z', end: '2026-11-22T14:00:00Z' };
const inWindow = micros('2026-11-22T10:00:00Z');
const beforeWindow = micros('2026-11-20T10:00:00Z');

let dir: string;
let db: DuckDb;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'quality-'));
  db = await openDuckDb({ dir, memoryMb: 128, threads: 1 });
});
after(async () => {
  await db.close();
  await rm(dir, { recursive: true });
});

/** Ten customers, ten products, ten orders of 2 × 5.00 + 1 × 1.00, all of one day. */
function aShop(): StagedShop {
  const ids = Array.from({ length: 10 }, (_, i) => BigInt(i) * 37n);
  return {
    customers: ids.map((id) => ({ id, first_name: 'Ada', last_name: 'Secret', city: null, state: null, created_at: beforeWindow })),
    products: ids.map((id) => ({ id, name: 'Tea', category: null, price_text: '5.00', price_cents: 500n, stock_quantity: 3n, created_at: null })),
    orders: ids.map((id) => ({ id, customer_id: id, order_date: inWindow, total_cents: 1100n, status: 'pending' })),
    order_items: ids.flatMap((id) => [
      { id: 2n * id, order_id: id, product_id: 0n, quantity: 2n, unit_price_cents: 500n },
      { id: 2n * id + 1n, order_id: id, product_id: id, quantity: 1n, unit_price_cents: 100n },
    ]),
  };
}

let runs = 0;
async function judge(spoil: (shop: StagedShop) => void, lastGoodRows: RowCounts | null = null): Promise<Omit<QualityResult, 'seconds'>> {
  const shop = aShop();
  spoil(shop);
  const sourceDir = join(dir, String(++runs));
  await mkdir(sourceDir);
  await writeStaged(db, sourceDir, shop);
  return checkQuality({ db, sourceDir, window, lastGoodRows });
}

/** What one fault leads to: the only check that fails, how many rows it names, and the line for a person. */
const faults: { fault: string; spoil: (shop: StagedShop) => void; verdict: 'warn' | 'block'; detail: string; failed: number }[] = [
  { fault: 'an id twice', spoil: ({ customers }) => customers.push({ ...customers[0]! }), verdict: 'block', detail: '1 row of customers repeat the id of another', failed: 1 },
  {
    fault: 'ids three times',
    spoil: ({ products }) => products.push(...products.slice(0, 2), ...products.slice(0, 2)),
    verdict: 'block',
    detail: '4 rows of products repeat the id of another',
    failed: 4,
  },
  { fault: 'no id', spoil: ({ products }) => products.push({ ...products[0]!, id: null }), verdict: 'block', detail: '1 row of products without id', failed: 1 },
  {
    fault: 'an order of a customer who is not there',
    spoil: ({ orders }) => void (orders[0]!.customer_id = -1n),
    verdict: 'block',
    detail: '1 row of orders whose customer_id is not in customers',
    failed: 1,
  },
  {
    fault: 'items of an order that is not there',
    spoil: ({ orders }) => void orders.pop(),
    verdict: 'block',
    detail: '2 rows of order_items whose order_id is not in orders',
    failed: 2,
  },
  {
    fault: 'an item of a product that is not there',
    spoil: ({ order_items }) => void (order_items[3]!.product_id = 5n),
    verdict: 'block',
    detail: '1 row of order_items whose product_id is not in products',
    failed: 1,
  },
  { fault: 'no customer', spoil: ({ orders }) => void (orders[4]!.customer_id = null), verdict: 'warn', detail: '1 row of orders without customer_id', failed: 1 },
  {
    fault: 'no order',
    spoil: ({ order_items }) => void order_items.push({ ...order_items[0]!, id: -7n, order_id: null }),
    verdict: 'warn',
    detail: '1 row of order_items without order_id',
    failed: 1,
  },
  { fault: 'no product', spoil: ({ order_items }) => void (order_items[3]!.product_id = null), verdict: 'warn', detail: '1 row of order_items without product_id', failed: 1 },
  { fault: 'no status', spoil: ({ orders }) => void (orders[0]!.status = null), verdict: 'warn', detail: '1 row of orders without status', failed: 1 },
  {
    fault: 'a status nobody knows',
    spoil: ({ orders }) => void (orders[0]!.status = 'Secret'),
    verdict: 'warn',
    detail: '1 row of orders whose status is none of pending, processing, shipped, delivered, cancelled',
    failed: 1,
  },
  { fault: 'a negative price', spoil: ({ products }) => void (products[0]!.price_cents = -1n), verdict: 'warn', detail: '1 row of products with price_cents below zero', failed: 1 },
  { fault: 'a negative stock', spoil: ({ products }) => void (products[0]!.stock_quantity = -1n), verdict: 'warn', detail: '1 row of products with stock_quantity below zero', failed: 1 },
  {
    fault: 'a total that its items do not make',
    spoil: ({ orders }) => void (orders[0]!.total_cents = 1101n),
    verdict: 'warn',
    detail: '1 row of orders whose total is not the sum of quantity × price',
    failed: 1,
  },
  {
    fault: 'a total without items',
    spoil: (shop) => void (shop.order_items = shop.order_items.filter(({ order_id }) => order_id !== 0n)),
    verdict: 'warn',
    detail: '1 row of orders whose total is not the sum of quantity × price',
    failed: 1,
  },
  {
    fault: 'a window without orders',
    spoil: ({ orders }) => orders.forEach((order) => (order.order_date = beforeWindow)),
    verdict: 'warn',
    detail: 'no row of orders has its order_date in the window, 10 before it',
    failed: 10,
  },
];

test('a sound shop passes every check', async () => {
  const report = await judge(() => undefined);
  assert.deepEqual({ ...report, passed: 0 }, { verdict: 'pass', findings: [], passed: 0 });
  assert.ok(report.passed > 20);
});

for (const { fault, spoil, verdict, detail, failed } of faults) {
  test(`${fault}: ${verdict}`, async () => {
    const report = await judge(spoil);
    assert.deepEqual(report.findings.map((check) => [check.severity, check.failed, check.detail]), [[verdict, failed, detail]]);
    assert.equal(report.verdict, verdict);
    assert.doesNotMatch(JSON.stringify(report), /Secret/);
  });
}

test('negative totals and amounts of items are told, each by its check', async () => {
  const report = await judge(({ orders, order_items }) => {
    orders[0]!.total_cents = -1100n;
    order_items[0]!.quantity = -2n;
    order_items[1]!.unit_price_cents = -100n;
  });
  assert.deepEqual(
    report.findings.map(({ name }) => name),
    ['orders.total_cents is not negative', 'order_items.quantity is not negative', 'order_items.unit_price_cents is not negative'],
  );
});

test('orders of which an amount is missing are not compared with their items, and nothing need not cost anything', async () => {
  const report = await judge((shop) => {
    shop.orders[0]!.total_cents = null;
    shop.order_items[2]!.quantity = null;
    shop.order_items[4]!.unit_price_cents = null;
    shop.orders.push({ id: -9n, customer_id: 0n, order_date: inWindow, total_cents: 0n, status: 'pending' });
  });
  assert.equal(report.verdict, 'pass');
});

test('an empty source passes, and so does a shop that has no order yet', async () => {
  const none = await judge((shop) => Object.assign(shop, { customers: [], products: [], orders: [], order_items: [] }));
  assert.equal(none.verdict, 'pass');
  assert.equal((await judge((shop) => Object.assign(shop, { orders: [], order_items: [] }))).verdict, 'pass');
});

test('a reference that is NULL is of nothing that is missing, also where the table it leads to is empty', async () => {
  const { verdict, findings } = await judge((shop) => {
    for (const order of shop.orders) order.customer_id = null;
    shop.customers = [];
  });
  assert.equal(verdict, 'warn', JSON.stringify(findings));
});

test('a table that lost a tenth passes, one that lost more is told, one that lost more than half stops the run', async () => {
  const drop = async (products: number): Promise<unknown> => {
    const { verdict, findings } = await judge(() => undefined, { customers: 10, products, orders: 10, order_items: 20 });
    return [verdict, ...findings.map(({ detail }) => detail)];
  };
  assert.deepEqual(await drop(11), ['pass']);
  assert.deepEqual(await drop(12), ['warn', 'products has 2 rows less than in the last good run, more than 10 % of them']);
  assert.deepEqual(await drop(20), ['warn', 'products has 10 rows less than in the last good run, more than 10 % of them']);
  assert.deepEqual(await drop(21), ['block', 'products has 11 rows less than in the last good run, more than 50 % of them; if that is meant: npx sluice batch run --accept-loss']);
});

test('a table that grew passes, out of nothing too', async () => {
  assert.equal((await judge(() => undefined, { customers: 0, products: 1, orders: 9, order_items: 0 })).verdict, 'pass');
});

test('one blocking fault among warnings blocks, and is named first', async () => {
  const report = await judge(({ orders, customers }) => {
    orders[0]!.status = null;
    customers[0]!.id = 37n;
    orders[0]!.customer_id = 37n;
  });
  assert.deepEqual([report.verdict, ...report.findings.map(({ severity }) => severity)], ['block', 'block', 'warn']);
});
