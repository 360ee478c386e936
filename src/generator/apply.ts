/**
 * The generator's SQL: reads a bounded view of the shop, and applies planned actions, one statement per kind.
 * Invariant: a batch is one transaction of a fixed number of round trips, however many actions it holds.
 */
import type { Database } from '../adapters/postgres.ts';
import type { Action, ActionKind, Shop } from './scenario.ts';

const shopSql = `
  WITH reach AS (
    SELECT (SELECT min(id) FROM customers) AS customer_low, (SELECT max(id) FROM customers) AS customer_high,
           (SELECT min(id) FROM products) AS product_low, (SELECT max(id) FROM products) AS product_high,
           (SELECT min(id) FROM orders) AS order_low, (SELECT max(id) FROM orders) AS order_high
  ), some_customers AS (
    SELECT c.id, EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id) AS "hasOrders" FROM customers c, reach
    WHERE c.id >= customer_low + ((customer_high - customer_low) * $1::float8)::bigint ORDER BY c.id LIMIT $2
  ), some_products AS (
    SELECT p.id, (p.price * 100)::bigint AS "priceCents", coalesce(p.stock_quantity, 0) AS stock,
           EXISTS (SELECT FROM order_items i WHERE i.product_id = p.id) AS "hasSales" FROM products p, reach
    WHERE p.id >= product_low + ((product_high - product_low) * $1::float8)::bigint
      AND p.price BETWEEN 0.01 AND 100000 AND coalesce(p.stock_quantity, 0) < 1000000 ORDER BY p.id LIMIT $2
  ), open_orders AS (
    SELECT id, status FROM orders WHERE status IN ('pending', 'processing', 'shipped') ORDER BY id LIMIT $2
  ), closed_orders AS (
    SELECT id FROM orders WHERE status IN ('delivered', 'cancelled') ORDER BY id LIMIT $2
  )
  SELECT (SELECT coalesce(json_agg(c), '[]') FROM some_customers c) AS customers,
         (SELECT coalesce(json_agg(p), '[]') FROM some_products p) AS products,
         (SELECT coalesce(json_agg(o), '[]') FROM open_orders o) AS "openOrders",
         (SELECT coalesce(json_agg(o.id), '[]') FROM closed_orders o) AS "closedOrders",
         coalesce(order_high::float8 - order_low, 0) AS "ordersSpan",
         coalesce(customer_high::float8 - customer_low, 0) AS "customersSpan",
         coalesce(product_high::float8 - product_low, 0) AS "productsSpan",
         coalesce(order_high, 0) AS "lastOrderId", coalesce(customer_high, 0) AS "lastCustomerId"
  FROM reach`;

/** The highest ids: part of the seed, so that a restarted generator goes on instead of repeating itself. */
export interface Reach {
  lastOrderId: number;
  lastCustomerId: number;
}

/** At most `rowsMax` rows of each kind, beginning at `fraction` (0 inclusive to 1 exclusive) of the ids. */
export async function readShop(db: Database, fraction: number, rowsMax: number): Promise<Shop & Reach> {
  const [shop] = await db.query<Shop & Reach>(shopSql, [fraction, rowsMax]);
  if (!shop) throw new TypeError('the shop query returns exactly one row');
  return shop;
}

/** In this order: what is referred to first, removals last. Each takes the actions of its kind as one JSON array. */
const statements: { [kind in ActionKind]: string } = {
  addCustomer: `
    INSERT INTO customers (first_name, last_name, email, phone, address, city, state, zip_code)
    SELECT "firstName", "lastName", email, phone, address, city, state, "zipCode" FROM jsonb_to_recordset($1)
      AS a("firstName" text, "lastName" text, email text, phone text, address text, city text, state text, "zipCode" text)`,
  moveCustomer: `
    UPDATE customers c SET address = a.address, city = a.city, state = a.state, zip_code = a."zipCode"
    FROM jsonb_to_recordset($1) AS a(id int, address text, city text, state text, "zipCode" text) WHERE c.id = a.id`,
  changePhone: `
    UPDATE customers c SET phone = a.phone FROM jsonb_to_recordset($1) AS a(id int, phone text) WHERE c.id = a.id`,
  addProduct: `
    INSERT INTO products (name, description, price, category, stock_quantity)
    SELECT name, description, "priceCents" / 100.0, category, stock FROM jsonb_to_recordset($1)
      AS a(name text, description text, "priceCents" int, category text, stock int)`,
  repriceProduct: `
    UPDATE products p SET price = a."priceCents" / 100.0
    FROM jsonb_to_recordset($1) AS a(id int, "priceCents" int) WHERE p.id = a.id`,
  restockProduct: `
    UPDATE products p SET stock_quantity = coalesce(p.stock_quantity, 0) + a.quantity
    FROM (SELECT id, sum(quantity) AS quantity FROM jsonb_to_recordset($1) AS a(id int, quantity int) GROUP BY id) a WHERE p.id = a.id`,
  placeOrder: `
    WITH basket AS MATERIALIZED (
      SELECT nextval('orders_id_seq') AS id, a.* FROM jsonb_to_recordset($1)
        AS a("customerId" int, "orderDate" timestamp, "shippingAddress" text, "totalCents" bigint, lines jsonb)
    ), placed AS (
      INSERT INTO orders (id, customer_id, order_date, total_amount, shipping_address)
      SELECT id, "customerId", "orderDate", "totalCents" / 100.0, "shippingAddress" FROM basket
    ), sold AS (
      INSERT INTO order_items (order_id, product_id, quantity, unit_price)
      SELECT basket.id, l."productId", l.quantity, l."unitPriceCents" / 100.0
      FROM basket, jsonb_to_recordset(basket.lines) AS l("productId" int, quantity int, "unitPriceCents" int)
      RETURNING product_id, quantity
    )
    UPDATE products p SET stock_quantity = p.stock_quantity - s.quantity
    FROM (SELECT product_id, sum(quantity) AS quantity FROM sold GROUP BY product_id) s WHERE p.id = s.product_id`,
  setOrderStatus: `
    UPDATE orders o SET status = a.status FROM jsonb_to_recordset($1) AS a(id int, status text) WHERE o.id = a.id`,
  removeOrder: `
    WITH gone AS (SELECT id FROM jsonb_to_recordset($1) AS a(id int)),
         items AS (DELETE FROM order_items WHERE order_id IN (SELECT id FROM gone))
    DELETE FROM orders WHERE id IN (SELECT id FROM gone)`,
  removeCustomer: `
    DELETE FROM customers WHERE id IN (SELECT id FROM jsonb_to_recordset($1) AS a(id int))`,
  removeProduct: `
    DELETE FROM products WHERE id IN (SELECT id FROM jsonb_to_recordset($1) AS a(id int))`,
};

/** Applies one batch as one transaction: all of it or nothing. */
export async function applyActions(db: Database, actions: Action[]): Promise<void> {
  if (actions.length === 0) return;
  await db.transaction(async (tx) => {
    for (const [kind, sql] of Object.entries(statements)) {
      const some = lastPerId(actions.filter((action) => action.kind === kind));
      if (some.length > 0) await tx.query(sql, [JSON.stringify(some)]);
    }
  });
}

/** UPDATE … FROM takes one row per target: of several edits of one id the last holds. Restocking is summed in SQL. */
function lastPerId(actions: Action[]): Action[] {
  const keep = actions.map((action, at) => ['id' in action && action.kind !== 'restockProduct' ? action.id : `at ${at}`, action] as const);
  return [...new Map(keep).values()];
}
