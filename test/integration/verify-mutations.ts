/**
 * Damage done to a replica on purpose, and what verify must name: one column, a lost row, a foreign row, one counter in each
 * hash, a lost set member, a wrong score, and keys of other types. It is done to rows that no generator touches, so that traffic
 * cannot heal it.
 */
import type { Redis } from 'ioredis';
import type { Database } from '../../src/adapters/postgres.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';

export interface Damage {
  /** `key what (difference)` of everything verify must name, sorted. */
  expected: string[];
  repair: () => Promise<void>;
}

/** Rows of a customer with two orders in a status of its own; they must be in the replica before `damageReplica`. */
export interface Victims {
  customer: string;
  orders: [string, string];
  item: string;
  product: string;
}

const foreignCustomer = '999999999';
/** Another id, which has only keys of types that they should not have. */
const foreignId = '999999998';
const shift = 7;

/** What a report names, in the form of `Damage.expected`. */
export const namedBy = ({ rows, sets, aggregates }: VerifyReport): string[] =>
  [
    ...rows.differences.map(({ key, column }) => `${key} ${column}`),
    ...sets.differences.map(({ key, member }) => `${key} ${member}`),
    ...aggregates.differences.map(({ key, field, difference }) => `${key} ${field} ${difference}`),
  ].sort();

/** `db`: a role that may write. */
export async function insertVictims(db: Database): Promise<Victims> {
  const [rows] = await db.query<{ customer: string; first: string; second: string; item: string; product: string }>(`
    WITH c AS (INSERT INTO customers (first_name, last_name, email, state) VALUES ('Vera', 'Fied', gen_random_uuid() || '@example.com', 'ZZ') RETURNING id),
         p AS (INSERT INTO products (name, price, category, stock_quantity) VALUES ('Damaged', 10, 'Damaged', 0) RETURNING id),
         o AS (INSERT INTO orders (customer_id, total_amount, status) SELECT id, 20, 'refunded' FROM c, generate_series(1, 2) RETURNING id),
         i AS (INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT min(o.id), min(p.id), 2, 10 FROM o, p RETURNING id)
    SELECT c.id::text AS customer, min(o.id)::text AS first, max(o.id)::text AS second, i.id::text AS item, p.id::text AS product
    FROM c, p, o, i GROUP BY c.id, p.id, i.id`);
  if (!rows) throw new Error('nothing inserted');
  return { customer: rows.customer, orders: [rows.first, rows.second], item: rows.item, product: rows.product };
}

/** `redis` is the admin. */
export async function damageReplica(redis: Redis, victims: Victims, prefix = ''): Promise<Damage> {
  const orderKey = `${prefix}order:${victims.orders[0]}`;
  const itemKey = `${prefix}order_item:${victims.item}`;
  const setKey = `${prefix}customer:${victims.customer}:orders`;
  const [orderRow, itemRow] = await redis.mget(orderKey, itemKey);
  const [foreignRow, foreignSet, foreignHash] = [`${prefix}order:${foreignId}`, `${prefix}customer:${foreignId}:orders`, `${prefix}metrics:product:${foreignId}`];
  const scores = await redis.zmscore(setKey, ...victims.orders);
  if (!orderRow || !itemRow || !scores[0] || !scores[1]) throw new Error('the replica does not hold the victims');

  const counters = [
    ['metrics:customers', 'live'],
    ['metrics:products', 'live'],
    ['metrics:orders', 'live'],
    ['metrics:order_items', 'live'],
    ['metrics:revenue', 'total_cents'],
    ['metrics:orders:by_status', 'refunded'],
    ['metrics:customers:by_state', 'ZZ'],
    ['metrics:products:by_category', 'Damaged'],
    [`metrics:product:${victims.product}`, 'revenue_cents'],
  ] as const;

  await redis.set(orderKey, JSON.stringify({ ...(JSON.parse(orderRow) as object), total_amount: '20.01' }));
  await redis.del(itemKey);
  await redis.set(`${prefix}customer:${foreignCustomer}`, `{"id":${foreignCustomer}}`);
  for (const [hash, field] of counters) await redis.hincrby(prefix + hash, field, shift);
  await redis.zrem(setKey, victims.orders[0]);
  await redis.zadd(setKey, Number(scores[1]) + 1, victims.orders[1]);
  await redis.hset(foreignRow, 'id', foreignId);
  await redis.mset(foreignSet, 'x', foreignHash, 'x');

  return {
    expected: [
      `order:${victims.orders[0]} total_amount`,
      `order_item:${victims.item} (row)`,
      `customer:${foreignCustomer} (row)`,
      ...victims.orders.map((order) => `customer:${victims.customer}:orders ${order}`),
      ...counters.map(([hash, field]) => `${hash} ${field} ${shift}`),
      `order:${foreignId} (row)`,
      `customer:${foreignId}:orders (set)`,
      `metrics:product:${foreignId} (hash) ?`,
    ].sort(),
    repair: async () => {
      await redis.mset(orderKey, orderRow, itemKey, itemRow);
      await redis.del(`${prefix}customer:${foreignCustomer}`, foreignRow, foreignSet, foreignHash);
      for (const [hash, field] of counters) await redis.hincrby(prefix + hash, field, -shift);
      await redis.zadd(setKey, Number(scores[0]), victims.orders[0], Number(scores[1]), victims.orders[1]);
    },
  };
}
