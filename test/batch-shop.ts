/** A shop with a past for the tests of the batch, and what a window's run has left in Redis. */
import type { TestStack } from './stack.ts';

/** Customers, products and orders of the last `days` days, of each day some cancelled, some without a sale; every order's total is the sum of its items. */
export async function fillPast({ db }: TestStack, days: number): Promise<void> {
  await db.query(`
    INSERT INTO customers (first_name, last_name, email, city, state, created_at)
    SELECT 'First' || n, 'Last' || n, 'past' || n || '@example.com', 'City' || n % 17, (ARRAY['TX','NY','WA'])[1 + n % 3], timezone('UTC', now()) - (n % ${days}) * interval '1 day'
    FROM generate_series(1, 300) n;
    INSERT INTO products (name, category, price, stock_quantity, created_at)
    SELECT 'Product ' || n, (ARRAY['Home','Books'])[1 + n % 2], 5 + n, n * 13 % 600, timezone('UTC', now()) - (n % ${days}) * interval '1 day'
    FROM generate_series(1, 40) n;
    WITH c AS (SELECT array_agg(id ORDER BY id) AS ids FROM customers), p AS (SELECT array_agg(id ORDER BY id) AS ids FROM products),
    placed AS (
      INSERT INTO orders (customer_id, order_date, total_amount, status)
      SELECT c.ids[1 + (n * n) % cardinality(c.ids)], timezone('UTC', now()) - (n % ${days}) * interval '1 day' - (n % 1440) * interval '1 minute', 0,
             (ARRAY['delivered','shipped','cancelled','pending',NULL])[1 + n / ${days} % 5]
      FROM generate_series(1, 3000) n, c RETURNING id
    )
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT placed.id, p.ids[1 + (placed.id * k * 7) % cardinality(p.ids)], 1 + placed.id % 4, 1.25 + (placed.id * k) % 90 FROM placed, p, generate_series(1, 3) k;
    UPDATE orders o SET total_amount = i.total FROM (SELECT order_id, sum(quantity * unit_price) AS total FROM order_items GROUP BY order_id) i WHERE i.order_id = o.id`);
}

const tables = ['customers', 'products', 'orders'];

/** Every record of the run that a window's pointers lead to; null where they lead nowhere. */
export async function recordsOf({ redis, keys }: TestStack, windowEnd: string): Promise<Record<string, string>[] | null> {
  const runs = await redis.strings(tables.map((table) => keys.batchWindow(table, windowEnd)));
  if (runs.some((run) => run === null || run !== runs[0])) return null;
  return redis.hashes(tables.map((table) => keys.batchRecords(table, runs[0]!)));
}

export async function jobs({ redis, keys }: TestStack): Promise<{ completed: number; failed: number }> {
  const [completed, failed] = await redis.strings([keys.batchJobs('completed'), keys.batchJobs('failed')]);
  return { completed: Number(completed ?? 0), failed: Number(failed ?? 0) };
}

/** `days` days that ended at the last midnight but one. */
export function pastDays(days: number): { from: string; to: string; ends: string[] } {
  const dayMs = 86_400_000;
  const toMs = Math.floor(Date.now() / dayMs) * dayMs - dayMs;
  const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  return { from: iso(toMs - days * dayMs), to: iso(toMs), ends: Array.from({ length: days }, (_, at) => iso(toMs - (days - 1 - at) * dayMs)) };
}
