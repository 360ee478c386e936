/** A shop of a given size, made by PostgreSQL itself: orders of a month in order of time, three items each, every total what the items cost. */
import type { BatchWindow } from '../../src/domain/batch-window.ts';
import { connectAdmin, prepareDatabase } from '../../src/stack/postgres.ts';
import type { StackSettings } from '../../src/stack/secrets.ts';

export interface ShopSize {
  database: string;
  orders: number;
  customers: number;
  products: number;
}

/** The last day of the month. */
export const shopWindow: BatchWindow = { start: '2026-01-30T00:00:00Z', end: '2026-01-31T00:00:00Z' };
export const itemsPerOrder = 3;

/** Creates the database with its schema and fills it. The seed's rows are not part of it. */
export async function fillShop(settings: StackSettings, shop: ShopSize): Promise<void> {
  const own = { ...settings, POSTGRES_DB: shop.database };
  await prepareDatabase(own);
  const db = connectAdmin(own, shop.database);
  try {
    await db.transaction((tx) => tx.query(`SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off; ${fillSql(shop)}`));
    await db.query('VACUUM ANALYZE');
    await db.query('CHECKPOINT');
  } finally {
    await db.close();
  }
}

/** Foreign keys are not checked row by row, and indexes are built when the rows are there; both in the end as the migrations want them. */
const fillSql = ({ orders, customers, products }: ShopSize): string => `
  TRUNCATE customers, products, orders, order_items RESTART IDENTITY;
  CREATE TEMP TABLE later ON COMMIT DROP AS
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('orders', 'order_items') AND indexname LIKE '%_idx';
  DO $$ DECLARE i record; BEGIN FOR i IN SELECT * FROM later LOOP EXECUTE format('DROP INDEX public.%I', i.indexname); END LOOP; END $$;
  INSERT INTO customers (first_name, last_name, email, phone, address, city, state, zip_code, created_at, updated_at)
    SELECT 'First' || n % 997, 'Last' || n % 1999, 'customer' || n || '@example.com', '555-' || n, n || ' Evergreen Terrace', 'City ' || n % 211,
           (ARRAY['TX', 'NY', 'WA', 'CA', 'IL'])[1 + n % 5], lpad((n % 100000)::text, 5, '0'), moment, moment
    FROM generate_series(1, ${customers}) n, LATERAL (SELECT timestamp '2025-12-31' + n % 700 * interval '1 hour' AS moment) m;
  INSERT INTO products (name, description, price, category, stock_quantity, created_at, updated_at)
    SELECT 'Product ' || n, 'What product ' || n || ' is, in one line', 1 + n % 9000 / 100.0, 'Category ' || n % 20, hashint4(n) & 1023, moment, moment
    FROM generate_series(1, ${products}) n, LATERAL (SELECT timestamp '2025-12-31' + n % 700 * interval '1 hour' AS moment) m;
  INSERT INTO order_items (order_id, product_id, quantity, unit_price, created_at)
    SELECT n, product, 1 + (n + k) % 4, 1 + product % 9000 / 100.0, timestamp '2026-01-31' - (${orders} - n) * (interval '30 days' / ${orders}) - interval '1 second'
    FROM generate_series(1, ${orders}) n, generate_series(1, ${itemsPerOrder}) k, LATERAL (SELECT 1 + (hashint4(n * ${itemsPerOrder} + k) & 2147483647) % ${products} AS product) p;
  INSERT INTO orders (customer_id, order_date, total_amount, status, shipping_address, created_at, updated_at)
    SELECT 1 + (hashint4(order_id) & 2147483647) % ${customers}, moment, total,
           (ARRAY['pending', 'processing', 'shipped', 'delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'cancelled'])[1 + order_id % 10],
           order_id || ' Evergreen Terrace, Springfield, IL 62704', moment, moment
    FROM (SELECT order_id, min(created_at) AS moment, sum(quantity * unit_price) AS total FROM order_items GROUP BY order_id ORDER BY order_id) placed;
  DO $$ DECLARE i record; BEGIN FOR i IN SELECT * FROM later LOOP EXECUTE i.indexdef; END LOOP; END $$`;
