/** Goal: the generator's scenario does what a shop does, also in shops that lack something. What holds for any shop: test/property. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planBatch, type Action, type ActionKind, type Shop } from '../../src/generator/scenario.ts';

const now = new Date('2026-11-22T10:00:00.000Z');

const aShop = (parts: Partial<Shop> = {}): Shop => ({
  customers: Array.from({ length: 20 }, (_, i) => ({ id: i + 1, hasOrders: i % 2 === 0 })),
  products: Array.from({ length: 20 }, (_, i) => ({ id: i + 1, priceCents: 1000 + i, stock: 100, hasSales: i % 2 === 0 })),
  openOrders: Array.from({ length: 400 }, (_, i) => ({ id: i + 1, status: (['pending', 'processing', 'shipped'] as const)[i % 3]! })),
  closedOrders: Array.from({ length: 50 }, (_, i) => 1001 + i),
  ordersSpan: 1050,
  customersSpan: 20,
  productsSpan: 20,
  ...parts,
});
const kindsOf = (actions: Action[]): Map<ActionKind, number> => {
  const counts = new Map<ActionKind, number>();
  for (const { kind } of actions) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
};

test('over many actions everything that can happen in a shop happens', () => {
  const batches = Array.from({ length: 100 }, (_, batch) => planBatch(aShop(), { seed: [1, batch], count: 10, now }));
  const kinds = kindsOf(batches.flat());
  const all = ['addCustomer', 'moveCustomer', 'changePhone', 'addProduct', 'repriceProduct', 'restockProduct', 'placeOrder', 'setOrderStatus', 'removeOrder', 'removeCustomer', 'removeProduct'];
  assert.deepEqual([...kinds.keys()].sort(), all.sort());
});

test('an order goes from pending to processing to shipped to delivered, and may be cancelled before it is shipped', () => {
  const shop = aShop();
  const legal = { pending: ['processing', 'cancelled'], processing: ['shipped', 'cancelled'], shipped: ['delivered'] };
  const moves = planBatch(shop, { seed: [2], count: 600, now }).filter((action) => action.kind === 'setOrderStatus');
  for (const { id, status } of moves) assert.ok(legal[shop.openOrders[id - 1]!.status].includes(status));
  assert.deepEqual([...new Set(moves.map(({ status }) => status))].sort(), ['cancelled', 'delivered', 'processing', 'shipped']);
});

test('orders carry the time that was passed in', () => {
  const orders = planBatch(aShop(), { seed: [3], count: 100, now }).filter((action) => action.kind === 'placeOrder');
  assert.ok(orders.length > 0);
  for (const { orderDate } of orders) assert.equal(orderDate, now.toISOString());
});

test('an empty shop gets customers and products first', () => {
  const empty = aShop({ customers: [], products: [], openOrders: [], closedOrders: [], ordersSpan: 0, customersSpan: 0, productsSpan: 0 });
  assert.deepEqual([...kindsOf(planBatch(empty, { seed: [4], count: 100, now })).keys()].sort(), ['addCustomer', 'addProduct']);
});

test('empty shelves are filled before anything is sold', () => {
  const shop = aShop({ products: [{ id: 1, priceCents: 1000, stock: 0, hasSales: true }], openOrders: [] });
  const [first] = planBatch(shop, { seed: [5], count: 200, now }).filter(({ kind }) => kind === 'placeOrder' || kind === 'restockProduct');
  assert.equal(first?.kind, 'restockProduct');
});

test('a shop that has grown large sheds more orders than it takes', () => {
  const shop = aShop({ ordersSpan: 60_000, closedOrders: Array.from({ length: 1000 }, (_, i) => 1001 + i) });
  const kinds = kindsOf(planBatch(shop, { seed: [6], count: 300, now }));
  assert.ok((kinds.get('removeOrder') ?? 0) > (kinds.get('placeOrder') ?? 0));
});
