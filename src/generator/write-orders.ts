/**
 * Writes a given number of orders, as fast as the database takes them or at a given rate, and anomalies on request.
 * Invariant: each batch is one transaction of orders with their items; interrupted, what was committed is whole and counted.
 */
import { setTimeout as pause } from 'node:timers/promises';
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
const foundingRows = 50;

const shopSql = `
  WITH reach AS (SELECT min(id) AS low, max(id) AS high FROM customers),
  some_customers AS (
    SELECT id FROM customers, reach WHERE id >= low + ((high - low) * $1::float8)::bigint ORDER BY id LIMIT $2
  ), some_products AS (
    SELECT id, (price * 100)::int AS "priceCents", coalesce(stock_quantity, 0) AS stock FROM products
    WHERE price BETWEEN 0.01 AND 900 AND coalesce(stock_quantity, 0) < 1000000 ORDER BY id LIMIT $2
  )
  SELECT (SELECT coalesce(json_agg(id), '[]') FROM some_customers) AS customers,
         (SELECT coalesce(json_agg(p), '[]') FROM some_products p) AS products,
         (SELECT coalesce(max(id), 0) FROM orders) AS "lastOrderId"`;

/** Customers from this share of the ids on. A shop without customers or products gets some first. */
async function readOrderShop({ db, seed }: WriteOptions, fraction: number): Promise<OrderShop> {
  const read = async (): Promise<OrderShop> => (await db.query<OrderShop>(shopSql, [fraction, viewRows]))[0]!;
  const shop = await read();
  const founding: Action[] = [
    ...(shop.customers.length > 0 ? [] : Array.from({ length: foundingRows }, addCustomer)),
    ...(shop.products.length > 0 ? [] : Array.from({ length: foundingRows }, addProduct)),
  ];
  if (founding.length === 0) return shop;
  await applyActions(db, founding);
  const founded = await read();
  if (founded.customers.length > 0 && founded.products.length > 0) return founded;
  throw new PipelineError('bad_argument', `The shop has no product between 0.01 and 900.00 to sell (seed ${seed}).`);
}

/** `rate`: orders per second, undefined as fast as possible. Ends early when `signal` aborts. */
export async function writeOrders(options: WriteOptions, work: { count: number; rate: number | undefined; onProgress: (written: Written) => void }): Promise<Written> {
  const { db, seed, signal, now } = options;
  const written = { orders: 0, rows: 0 };
  const startMs = performance.now();
  for (let batch = 0; written.orders < work.count && !signal.aborted; ) {
    const due = work.rate === undefined ? work.count : Math.min(work.count, Math.floor((work.rate * (performance.now() - startMs)) / 1000) + 1);
    const count = Math.min(batchOrdersMost, due - written.orders);
    if (count > 0) {
      const shop = await readOrderShop(options, fractionOf(batch));
      const actions = planOrders(shop, { seed: [seed, batch, shop.lastOrderId], count, now: now() });
      await applyActions(db, actions);
      tally(written, actions);
      work.onProgress(written);
      batch += 1;
    }
    if (work.rate !== undefined && written.orders < work.count) await pause(tickMs, undefined, { signal }).catch(() => undefined); // an abort ends the loop by its condition
  }
  return written;
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
  const shop = await readOrderShop(options, fractionOf(seed));
  const [minute] = await db.query<{ newByState: Record<string, number> }>(lastMinuteSql);
  const { entity, actions } = planAnomaly(kind, shop, { seed: [seed, shop.lastOrderId], now: now(), limits, newByState: minute?.newByState ?? {} });
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
