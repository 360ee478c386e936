/**
 * Writes a given number of orders, as fast as the database takes them or at a given rate, and anomalies on request.
 * Invariant: each batch is one transaction of orders with their items; interrupted, what was committed is whole and counted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { faker } from '@faker-js/faker/locale/en';
import type { Database } from '../adapters/postgres.ts';
import { PipelineError } from '../domain/errors.ts';
import type { RuleLimits } from '../domain/rules/rule.ts';
import { planAnomaly, type PlannedAnomaly } from './anomaly.ts';
import { applyActions } from './apply.ts';
import { planOrders, type OrderShop } from './order-shop.ts';
import { addCustomer, addProduct, type Action } from './scenario.ts';

export interface Written {
  orders: number;
  /** Orders, items and customers. */
  rows: number;
}

export interface WriteOptions {
  db: Database;
  seed: number;
  signal: AbortSignal;
  now: () => Date;
}

const batchOrdersMost = 1000;
const viewRows = 2000;
/** How often a rate is kept. */
const tickMs = 100;
const triesMost = 10;
/** A shop that has too few customers or products gets at least so many. */
const foundingRows = 50;
/** Of so many orders at once, or fewer, no customer places many. */
export const spikeOrders = 500;
/** A customer places about one order a minute, a product is in some eight: far below what bulk_orders and rapid_stock_depletion look for. */
const ordersPerProduct = 4;

const soldSql = 'FROM products WHERE price BETWEEN 0.01 AND 900 AND coalesce(stock_quantity, 0) < 1000000';
const sizeSql = `
  SELECT (SELECT count(*)::int FROM (SELECT FROM customers LIMIT $1) c) AS customers,
         (SELECT count(*)::int FROM (SELECT ${soldSql} LIMIT $1) p) AS products`;
const shopSql = `
  WITH reach AS (SELECT min(id) AS low, max(id) AS high FROM customers),
  some_customers AS (
    SELECT id FROM customers, reach WHERE id >= low + ((high - low) * $1::float8)::bigint ORDER BY id LIMIT $2
  ), some_products AS (
    SELECT id, (price * 100)::int AS "priceCents", coalesce(stock_quantity, 0) AS stock ${soldSql} ORDER BY id LIMIT $2
  )
  SELECT (SELECT coalesce(json_agg(id), '[]') FROM some_customers) AS customers,
         (SELECT coalesce(json_agg(p), '[]') FROM some_products p) AS products,
         (SELECT coalesce(max(id), 0) FROM orders) AS "lastOrderId", (SELECT coalesce(max(id), 0) FROM customers) AS "lastCustomerId"`;

/** Gives a shop that is too small for so many ordinary orders a minute the customers and products it lacks, or the number of orders alone would fire rules. */
async function enlargeShop({ db, seed }: WriteOptions, ordersPerMinute: number): Promise<void> {
  const [has] = await db.query<{ customers: number; products: number }>(sizeSql, [viewRows]);
  const lacking = (present: number, wanted: number): number => {
    const needed = Math.max(1, Math.min(Math.ceil(wanted), viewRows));
    return present >= needed ? 0 : Math.max(foundingRows, needed - present);
  };
  faker.seed([seed, has!.customers, has!.products]);
  const founding: Action[] = [
    ...Array.from({ length: lacking(has!.customers, ordersPerMinute) }, addCustomer),
    ...Array.from({ length: lacking(has!.products, ordersPerMinute / ordersPerProduct) }, addProduct),
  ];
  if (founding.length > 0) await applyActions(db, founding);
}

/** Customers from this share of the ids on. */
async function readOrderShop({ db, seed }: WriteOptions, fraction: number): Promise<OrderShop> {
  const [shop] = await db.query<OrderShop>(shopSql, [fraction, viewRows]);
  if (shop!.customers.length > 0 && shop!.products.length > 0) return shop!;
  throw new PipelineError('bad_argument', `The shop has no customer, or no product between 0.01 and 900.00 to sell (seed ${seed}).`);
}

/** `rate`: orders per second, undefined as fast as possible. Ends early when `signal` aborts. */
export async function writeOrders(options: WriteOptions, work: { count: number; rate: number | undefined; onProgress: (written: Written) => void }): Promise<Written> {
  const { signal } = options;
  const written = { orders: 0, rows: 0 };
  if (work.count > 0) await enlargeShop(options, work.rate === undefined ? Math.min(work.count, spikeOrders) : 60 * work.rate);
  const startMs = performance.now();
  for (let batch = 0; written.orders < work.count && !signal.aborted; ) {
    const due = work.rate === undefined ? work.count : Math.min(work.count, Math.floor((work.rate * (performance.now() - startMs)) / 1000) + 1);
    const count = Math.min(batchOrdersMost, due - written.orders);
    if (count > 0) {
      tally(written, await writeBatch(options, { batch, count, written }));
      work.onProgress(written);
      batch += 1;
    }
    if (work.rate !== undefined && written.orders >= due && written.orders < work.count) await pause(tickMs, undefined, { signal }).catch(() => undefined); // an abort ends the loop by its condition
  }
  return written;
}

/** A batch that was rolled back, as the victim of a deadlock, is written again. */
async function writeBatch(options: WriteOptions, { batch, count, written }: { batch: number; count: number; written: Written }): Promise<Action[]> {
  const { db, seed, signal, now } = options;
  for (let tries = 1; ; tries += 1) {
    const shop = await readOrderShop(options, fractionOf(batch));
    const actions = planOrders(shop, { seed: [seed, batch, shop.lastOrderId], count, now: now() });
    try {
      await applyActions(db, actions);
      return actions;
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const isRolledBack = String(error.details['sqlstate']).startsWith('40');
      if (!isRolledBack || tries === triesMost || signal.aborted) throw new PipelineError(error.code, `${error.message}, after ${written.orders} orders`, { details: error.details, cause: error });
    }
  }
}

/** Another part of the customers for each batch. */
const fractionOf = (batch: number): number => (batch * 0.618_033_988_749_895) % 1;

function tally(written: Written, actions: readonly Action[]): void {
  for (const action of actions) {
    if (action.kind === 'placeOrder') {
      written.orders += 1;
      written.rows += 1 + action.lines.length;
    } else if (action.kind === 'addCustomer') written.rows += 1;
  }
}

const lastMinuteSql = `
  SELECT coalesce(json_object_agg(state, customers), '{}') AS "newByState" FROM (
    SELECT coalesce(state, '') AS state, count(*)::int AS customers FROM customers
    WHERE created_at > timezone('UTC', now()) - interval '60 s' GROUP BY 1
  ) c`;

/** What one rule needs to fire, in one transaction. `entity`: what the alert will be about. */
export async function writeAnomaly(options: WriteOptions, kind: PlannedAnomaly, limits: RuleLimits): Promise<Written & { entity: string }> {
  const { db, seed, now } = options;
  await enlargeShop(options, 0);
  const shop = await readOrderShop(options, fractionOf(seed));
  const [minute] = await db.query<{ newByState: Record<string, number> }>(lastMinuteSql);
  const { entity, actions } = planAnomaly(kind, shop, { seed: [seed, shop.lastOrderId, shop.lastCustomerId], now: now(), limits, newByState: minute?.newByState ?? {} });
  await applyActions(db, actions);
  const written = { orders: 0, rows: 0 };
  tally(written, actions);
  return { ...written, entity: entity ?? (await orderAfter(db, shop.lastOrderId, limits)) };
}

/** The order that was just placed: another generator may have placed cheaper ones meanwhile. */
async function orderAfter(db: Database, lastOrderId: number, { highValueCents }: RuleLimits): Promise<string> {
  const [order] = await db.query<{ id: number }>('SELECT max(id) AS id FROM orders WHERE id > $1 AND total_amount * 100 > $2', [lastOrderId, highValueCents]);
  return String(order?.id);
}
