/** Goal: whatever the shop and the seed, a planned batch is consistent. Method: random shops, every planned action checked in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openStatuses, planBatch, type Shop } from '../../src/generator/scenario.ts';

const id = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const span = fc.integer({ min: 0, max: 100_000 });
const record = <T extends object>(parts: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(parts, { noNullPrototype: true });
const shops: fc.Arbitrary<Shop> = record({
  customers: fc.uniqueArray(record({ id, hasOrders: fc.boolean() }), { selector: (row) => row.id, maxLength: 30 }),
  products: fc.uniqueArray(
    record({ id, priceCents: fc.integer({ min: 0, max: 9_999_999 }), stock: fc.integer({ min: -5, max: 30 }), hasSales: fc.boolean() }),
    { selector: (row) => row.id, maxLength: 30 },
  ),
  openOrders: fc.uniqueArray(record({ id, status: fc.constantFrom(...openStatuses) }), { selector: (row) => row.id, maxLength: 30 }),
  closedOrders: fc.uniqueArray(id, { maxLength: 30 }),
  ordersSpan: span,
  customersSpan: span,
  productsSpan: span,
});
const plans = fc.record({ shop: shops, seed: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), count: fc.integer({ min: 1, max: 80 }) });
const now = new Date('2026-11-22T10:00:00.000Z');

test('totals equal the items, stock is never oversold, only what is there is used, nothing removed is ordered', () => {
  fc.assert(
    fc.property(plans, ({ shop, seed, count }) => {
      const stock = new Map(shop.products.map((product) => [product.id, product.stock]));
      const customers = new Set(shop.customers.map((customer) => customer.id));
      const orders = new Set([...shop.openOrders.map((order) => order.id), ...shop.closedOrders]);
      for (const action of planBatch(shop, { seed, count, now })) {
        if (action.kind === 'placeOrder') {
          assert.ok(customers.has(action.customerId));
          assert.ok(action.lines.length >= 1 && action.lines.length <= 5);
          assert.equal(new Set(action.lines.map((line) => line.productId)).size, action.lines.length);
          assert.equal(action.totalCents, action.lines.reduce((sum, line) => sum + line.quantity * line.unitPriceCents, 0));
          for (const { productId, quantity } of action.lines) {
            assert.ok(quantity >= 1);
            stock.set(productId, stock.get(productId)! - quantity);
            assert.ok(stock.get(productId)! >= 0);
          }
        }
        if (action.kind === 'restockProduct') stock.set(action.id, stock.get(action.id)! + action.quantity);
        if (action.kind === 'setOrderStatus' || action.kind === 'removeOrder') assert.ok(orders.has(action.id));
        if (action.kind === 'removeCustomer') assert.ok(customers.delete(action.id));
        if (action.kind === 'removeProduct') assert.ok(stock.delete(action.id));
      }
    }),
  );
});

test('the same shop, seed and time plan the same batch, and the shop passed in stays as it was', () => {
  fc.assert(
    fc.property(plans, ({ shop, seed, count }) => {
      const copy = structuredClone(shop);
      const first = planBatch(shop, { seed, count, now });
      assert.deepEqual(shop, copy);
      assert.deepEqual(planBatch(shop, { seed, count, now }), first);
    }),
  );
});
