/**
 * Damage done to a replica on purpose, and what verify must say about it: one column, a lost row, a foreign row, one counter in
 * each hash, a lost set member and a wrong score. Needs a quiet shop (no generator), else the consumer heals rows by itself.
 */
import type { Redis } from 'ioredis';
import type { Queryable } from '../../src/adapters/postgres.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';

export interface Damage {
  /** `key what` of every difference verify must name, sorted. */
  expected: string[];
  repair: () => Promise<void>;
}

const foreignCustomer = '99999999';
const shift = 7;

/** What a report names, in the same form as `Damage.expected`. */
export const namedBy = ({ rows, sets, aggregates }: VerifyReport): string[] =>
  [
    ...rows.differences.map(({ key, column }) => `${key} ${column}`),
    ...sets.differences.map(({ key, member }) => `${key} ${member}`),
    ...aggregates.differences.map(({ key, field, difference }) => `${key} ${field} ${difference}`),
  ].sort();

/** `redis` is the admin, `source` any role that may read. Keys carry `prefix`. */
export async function damageReplica(redis: Redis, source: Queryable, prefix = ''): Promise<Damage> {
  const [ids] = await source.query<{ order: string; product: string; customer: string; member: string; rescored: string; state: string; category: string }>(`
    SELECT (SELECT min(id) FROM orders)::text AS order, (SELECT max(id) FROM products)::text AS product,
           o.customer_id::text AS customer, min(o.id)::text AS member, max(o.id)::text AS rescored,
           (SELECT min(state) FROM customers) AS state, (SELECT min(category) FROM products) AS category
    FROM orders o GROUP BY o.customer_id HAVING count(*) > 1 ORDER BY o.customer_id LIMIT 1`);
  const [sold] = await source.query<{ product: string }>('SELECT min(product_id)::text AS product FROM order_items');
  if (!ids || !sold) throw new Error('the shop needs a customer with two orders');

  const orderKey = `${prefix}order:${ids.order}`;
  const productKey = `${prefix}product:${ids.product}`;
  const setKey = `${prefix}customer:${ids.customer}:orders`;
  const [orderRow, productRow] = await redis.mget(orderKey, productKey);
  const scores = await redis.zmscore(setKey, ids.member, ids.rescored);
  if (!orderRow || !productRow || !scores[0] || !scores[1]) throw new Error('the replica is not whole');

  const counters = [
    ['metrics:customers', 'live'],
    ['metrics:products', 'live'],
    ['metrics:orders', 'live'],
    ['metrics:order_items', 'live'],
    ['metrics:revenue', 'total_cents'],
    ['metrics:orders:by_status', 'pending'],
    ['metrics:customers:by_state', ids.state],
    ['metrics:products:by_category', ids.category],
    [`metrics:product:${sold.product}`, 'revenue_cents'],
  ] as const;

  await redis.set(orderKey, JSON.stringify({ ...(JSON.parse(orderRow) as object), total_amount: '0.01' }));
  await redis.del(productKey);
  await redis.set(`${prefix}customer:${foreignCustomer}`, '{"id":99999999}');
  for (const [hash, field] of counters) await redis.hincrby(prefix + hash, field, shift);
  await redis.zrem(setKey, ids.member);
  await redis.zadd(setKey, Number(scores[1]) + 1, ids.rescored);

  return {
    expected: [
      `order:${ids.order} total_amount`,
      `product:${ids.product} (row)`,
      `customer:${foreignCustomer} (row)`,
      `customer:${ids.customer}:orders ${ids.member}`,
      `customer:${ids.customer}:orders ${ids.rescored}`,
      ...counters.map(([hash, field]) => `${hash} ${field} ${shift}`),
    ].sort(),
    repair: async () => {
      await redis.mset(orderKey, orderRow, productKey, productRow);
      await redis.del(`${prefix}customer:${foreignCustomer}`);
      for (const [hash, field] of counters) await redis.hincrby(prefix + hash, field, -shift);
      await redis.zadd(setKey, Number(scores[0]), ids.member, Number(scores[1]), ids.rescored);
    },
  };
}
