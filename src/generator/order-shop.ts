/**
 * Orders by the thousand: a pure plan of ordinary orders over a small view of the shop.
 * Invariant: an order's total equals its items to the cent, and shelves are filled before they are sold from, so that nothing
 * but the number of orders is unusual.
 */
import { faker } from '@faker-js/faker/locale/en';
import type { Action, OrderLine } from './scenario.ts';

export interface OrderShop {
  customers: number[];
  products: { id: number; priceCents: number; stock: number }[];
  /** Parts of the seed, so that a second run does not repeat the first. */
  lastOrderId: number;
  lastCustomerId: number;
}

export type PlaceOrder = Extract<Action, { kind: 'placeOrder' }>;
type RestockProduct = Extract<Action, { kind: 'restockProduct' }>;

/** An ordinary order stays below this: it is no high-value order. */
const totalCentsMost = 90_000;
const linesMost = 3;
const stockLeast = 60;
const refill = 400;

/** One order with these lines. */
export function anOrder(customerId: number, orderDate: Date, lines: OrderLine[]): PlaceOrder {
  const totalCents = lines.reduce((sum, line) => sum + line.quantity * line.unitPriceCents, 0);
  return { kind: 'placeOrder', customerId, orderDate: orderDate.toISOString(), shippingAddress: faker.location.streetAddress(), totalCents, lines };
}

/** `count` orders at `now`, and what must be put on the shelves before. The same arguments give the same plan. Needs a customer and a product. */
export function planOrders(shop: OrderShop, options: { seed: number[]; count: number; now: Date }): Action[] {
  faker.seed(options.seed);
  const orders = Array.from({ length: options.count }, () =>
    anOrder(faker.helpers.arrayElement(shop.customers), options.now, affordable(faker.helpers.arrayElements(shop.products, { min: 1, max: linesMost }))),
  );
  return [...restockFor(shop, orders), ...orders];
}

function affordable(products: OrderShop['products']): OrderLine[] {
  const lines: OrderLine[] = [];
  let left = totalCentsMost;
  for (const { id, priceCents } of products) {
    const quantity = faker.number.int({ min: 1, max: 3 });
    const most = Math.min(quantity, Math.floor(left / Math.max(1, priceCents)));
    if (most < 1 && lines.length > 0) continue;
    lines.push({ productId: id, quantity: Math.max(1, most), unitPriceCents: priceCents });
    left -= Math.max(1, most) * priceCents;
  }
  return lines;
}

/** Restocking for these orders: no shelf is left with fewer than sixty. */
export function restockFor(shop: OrderShop, orders: readonly PlaceOrder[]): RestockProduct[] {
  const sold = new Map<number, number>();
  for (const { productId, quantity } of orders.flatMap(({ lines }) => lines)) sold.set(productId, (sold.get(productId) ?? 0) + quantity);
  return shop.products
    .filter(({ id, stock }) => sold.has(id) && stock - sold.get(id)! < stockLeast)
    .map(({ id, stock }) => ({ kind: 'restockProduct', id, quantity: sold.get(id)! + refill - Math.min(stock, refill) }));
}
