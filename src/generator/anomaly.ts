/**
 * What each rule of the stream needs to fire, and no more: a pure plan over a small view of the shop.
 * Each plan is applied in one transaction, and crosses its threshold by one; `geo` by more while others register.
 */
import { faker } from '@faker-js/faker/locale/en';
import type { RuleLimits } from '../domain/rules/rule.ts';
import { anOrder, restockFor, type OrderShop } from './order-shop.ts';
import { addCustomer, type Action } from './scenario.ts';

/** Anomalies that are a set of rows; `silence` and `spike` are a matter of pace. */
export const plannedAnomalies = ['bulk', 'high-value', 'depletion', 'low-stock', 'geo'] as const;
export type PlannedAnomaly = (typeof plannedAnomalies)[number];

export interface AnomalyPlan {
  /** Id or state that the rule will name. For a high-value order it is the order's id, known afterwards only: null. */
  entity: string | null;
  actions: Action[];
}

export interface AnomalyOptions {
  seed: number[];
  now: Date;
  limits: RuleLimits;
  /** Customers of the last 60 s, by state: `geo` must outnumber those who register in its minute. */
  newByState: Readonly<Record<string, number>>;
}

export function planAnomaly(kind: PlannedAnomaly, shop: OrderShop, options: AnomalyOptions): AnomalyPlan {
  faker.seed(options.seed);
  return plans[kind](shop, options);
}

const plans: { [kind in PlannedAnomaly]: (shop: OrderShop, options: AnomalyOptions) => AnomalyPlan } = {
  bulk: planBulk,
  'high-value': planHighValue,
  depletion: planDepletion,
  'low-stock': planLowStock,
  geo: planGeo,
};

/** Spread over so much time before now. */
const spreadMs = 30_000;
const before = (now: Date, part: number, parts: number): Date => new Date(now.getTime() - Math.round((spreadMs * (parts - part - 1)) / parts));

const cheapest = (shop: OrderShop): OrderShop['products'][number] => shop.products.toSorted((a, b) => a.priceCents - b.priceCents)[0]!;

/** One customer, one order more than allowed, each of one cheap piece. */
function planBulk(shop: OrderShop, { now, limits }: AnomalyOptions): AnomalyPlan {
  const customerId = faker.helpers.arrayElement(shop.customers);
  const { id, priceCents } = cheapest(shop);
  const count = limits.bulkOrdersMax + 1;
  const orders = Array.from({ length: count }, (_, i) => anOrder(customerId, before(now, i, count), [{ productId: id, quantity: 1, unitPriceCents: priceCents }]));
  return { entity: String(customerId), actions: [...restockFor(shop, orders), ...orders] };
}

/** One order of one piece that costs a cent more than allowed. */
function planHighValue(shop: OrderShop, { now, limits }: AnomalyOptions): AnomalyPlan {
  const { id } = faker.helpers.arrayElement(shop.products);
  const order = anOrder(faker.helpers.arrayElement(shop.customers), now, [{ productId: id, quantity: 1, unitPriceCents: limits.highValueCents + 1 }]);
  return { entity: null, actions: [...restockFor(shop, [order]), order] };
}

const unitsPerOrder = 9;

/** One product, one unit more than allowed, in orders of several customers. */
function planDepletion(shop: OrderShop, { now, limits }: AnomalyOptions): AnomalyPlan {
  const { id, priceCents } = cheapest(shop);
  const units = limits.stockDepletionUnitsMax + 1;
  const count = Math.ceil(units / unitsPerOrder);
  const customers = faker.helpers.shuffle(shop.customers);
  const orders = Array.from({ length: count }, (_, i) => {
    const quantity = Math.min(unitsPerOrder, units - i * unitsPerOrder);
    return anOrder(customers[i % customers.length]!, before(now, i, count), [{ productId: id, quantity, unitPriceCents: priceCents }]);
  });
  return { entity: String(id), actions: [...restockFor(shop, orders), ...orders] };
}

/** The shelf of one product is brought to the threshold, and then one piece is sold. */
function planLowStock(shop: OrderShop, { now, limits }: AnomalyOptions): AnomalyPlan {
  const product = faker.helpers.arrayElement(shop.products);
  const order = anOrder(faker.helpers.arrayElement(shop.customers), now, [{ productId: product.id, quantity: 1, unitPriceCents: product.priceCents }]);
  return { entity: String(product.id), actions: [{ kind: 'restockProduct', id: product.id, quantity: limits.lowStockBelow - product.stock }, order] };
}

const geoCustomers = 8;

/** Eight new customers of one state; more where others register: enough for four times as many others as lately, since some of ours move away before the minute is judged. */
function planGeo(_shop: OrderShop, { limits, newByState }: AnomalyOptions): AnomalyPlan {
  const [state] = Object.entries(newByState).sort(([, a], [, b]) => b - a)[0] ?? [faker.location.state({ abbreviated: true })];
  const others = 4 * Object.entries(newByState).reduce((sum, [name, customers]) => sum + (name === state ? 0 : customers), 0);
  const share = limits.geoSharePercent;
  const count = Math.max(geoCustomers, limits.geoCustomersMin, Math.floor((share * others) / (100 - share)) + 1);
  return { entity: state, actions: Array.from({ length: count }, () => ({ ...addCustomer(), state })) };
}
