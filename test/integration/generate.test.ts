/** Goal: `sluice generate` writes what it says, fast, and each anomaly is exactly what its rule needs. Method: a real PostgreSQL, the rules over its rows. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { PipelineError } from '../../src/domain/errors.ts';
import { rules } from '../../src/domain/rules/registry.ts';
import { plannedAnomalies } from '../../src/generator/anomaly.ts';
import { writeAnomaly, writeOrders, type WriteOptions } from '../../src/generator/write-orders.ts';
import { until } from '../stack.ts';
import { startPostgres, type TestPostgres, type TestShop } from '../postgres.ts';
import { limits } from '../rule-limits.ts';

let server: TestPostgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const optionsFor = (shop: TestShop, seed = 1): WriteOptions => ({ db: shop.writer, seed, signal: new AbortController().signal, now: () => new Date() });

async function assertWhole(shop: TestShop): Promise<void> {
  const wrong = await shop.owner.query(
    'SELECT o.id FROM orders o LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id HAVING o.total_amount IS DISTINCT FROM sum(i.quantity * i.unit_price)',
  );
  assert.deepEqual(wrong, []);
}

const countOf = async (shop: TestShop, table: string): Promise<number> => (await shop.owner.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n;

test('it writes exactly the orders it was asked for, and sells nothing that is not there', async (t) => {
  const shop = await server.openShop();
  const [ordersBefore, itemsBefore] = [await countOf(shop, 'orders'), await countOf(shop, 'order_items')];
  const startMs = performance.now();
  const progress: number[] = [];
  const written = await writeOrders(optionsFor(shop), { count: 5500, rate: undefined, onProgress: ({ orders }) => progress.push(orders) });
  t.diagnostic(`${Math.round((written.rows * 1000) / (performance.now() - startMs))} rows/s`);
  assert.equal(written.orders, 5500);
  assert.equal(await countOf(shop, 'orders'), ordersBefore + 5500);
  assert.equal((await countOf(shop, 'order_items')) - itemsBefore + 5500, written.rows);
  assert.deepEqual(progress, [1000, 2000, 3000, 4000, 5000, 5500]);
  assert.deepEqual(await shop.owner.query('SELECT id FROM products WHERE stock_quantity < 10'), []);
  await assertWhole(shop);
});

test('the same seed over the same shop writes the same orders, another seed others', async () => {
  const ordersOf = async (seed: number): Promise<object[]> => {
    const shop = await server.openShop();
    await writeOrders(optionsFor(shop, seed), { count: 50, rate: undefined, onProgress: () => undefined });
    return shop.owner.query('SELECT id, customer_id, total_amount, shipping_address FROM orders ORDER BY id');
  };
  const first = await ordersOf(7);
  assert.deepEqual(await ordersOf(7), first);
  assert.notDeepEqual(await ordersOf(8), first);
});

test('a rate is kept, and an abort ends it with what was written', async () => {
  const shop = await server.openShop();
  await writeOrders(optionsFor(shop), { count: 1, rate: 60, onProgress: () => undefined }); // the shop gets the customers that the rate needs
  const startMs = performance.now();
  await writeOrders(optionsFor(shop), { count: 60, rate: 60, onProgress: () => undefined });
  const seconds = (performance.now() - startMs) / 1000;
  assert.ok(seconds > 0.8 && seconds < 5, `${seconds} s`); // an order in each tick of 100 ms would take six
  const stop = new AbortController();
  const written = await writeOrders({ ...optionsFor(shop), signal: stop.signal }, { count: 1000, rate: 10, onProgress: () => stop.abort() });
  assert.ok(written.orders < 20);
  await assertWhole(shop);
});

test('a batch that was rolled back for a deadlock is written again; what else fails tells how many orders were written', async () => {
  const shop = await server.openShop();
  const before = await countOf(shop, 'orders');
  const failures = [null, '40P01', null, '57P01']; // the first is of customers and products
  const transaction: typeof shop.writer.transaction = async (work) => {
    const result = await shop.writer.transaction(async (tx) => {
      const done = await work(tx);
      const sqlstate = failures.shift();
      if (sqlstate) throw new PipelineError('postgres_unavailable', `gave up (${sqlstate})`, { details: { sqlstate } });
      return done;
    });
    return result;
  };
  const options = { ...optionsFor(shop), db: { ...shop.writer, transaction } };
  await assert.rejects(writeOrders(options, { count: 3000, rate: undefined, onProgress: () => undefined }), /gave up \(57P01\), after 1000 orders/);
  assert.equal(await countOf(shop, 'orders'), before + 1000);
  await assertWhole(shop);
});

test('a shop without customers and products gets some first', async () => {
  const shop = await server.openShop();
  await shop.owner.query('TRUNCATE customers, products, orders, order_items');
  const written = await writeOrders(optionsFor(shop), { count: 10, rate: undefined, onProgress: () => undefined });
  assert.equal(written.orders, 10);
  assert.ok((await countOf(shop, 'customers')) > 0);
});

interface OrderRow {
  id: number;
  customer: string;
  at: number;
  cents: number;
}

/** Which rules fire over the rows written after the given ids, and for whom. */
async function fired(shop: TestShop, lastOrderId: number, lastCustomerId: number, stockBefore: Map<number, number>): Promise<string[]> {
  const orders = await shop.owner.query<OrderRow>(
    `SELECT id, customer_id::text AS customer, (extract(epoch FROM order_date) * 1000)::float8 AS at, (total_amount * 100)::int AS cents FROM orders WHERE id > ${lastOrderId} ORDER BY order_date, id`,
  );
  const items = await shop.owner.query<{ id: string; product: string; at: number; quantity: number }>(
    `SELECT i.id::text, product_id::text AS product, (extract(epoch FROM order_date) * 1000)::float8 AS at, quantity FROM order_items i JOIN orders o ON o.id = order_id WHERE o.id > ${lastOrderId} ORDER BY order_date, i.id`,
  );
  const minutes = await shop.owner.query<{ minute: string; byState: Record<string, number> }>(
    `SELECT minute, json_object_agg(state, n) AS "byState" FROM (SELECT date_trunc('minute', created_at)::text AS minute, state, count(*)::int AS n FROM customers WHERE id > ${lastCustomerId} GROUP BY 1, 2) c GROUP BY 1`,
  );
  const products = await shop.owner.query<{ id: number; stock: number }>('SELECT id, stock_quantity AS stock FROM products');
  const of = <T>(rows: T[], key: (row: T) => string): [string, T[]][] => [...new Set(rows.map(key))].map((one) => [one, rows.filter((row) => key(row) === one)]);
  return [
    ...orders.filter(({ id, at, cents }) => rules.highValueOrder.evaluate({ orderId: String(id), atMs: at, totalCents: cents }, limits)).map(({ id }) => `high_value_order ${id}`),
    ...of(orders, ({ customer }) => customer).flatMap(([customerId, some]) =>
      rules.bulkOrders.evaluate({ customerId, orders: some.map(({ id, at }) => ({ id: String(id), atMs: at, amount: 1 })) }, limits).map(() => `bulk_orders ${customerId}`),
    ),
    ...of(items, ({ product }) => product).flatMap(([productId, some]) =>
      rules.rapidStockDepletion.evaluate({ productId, sales: some.map(({ id, at, quantity }) => ({ id, atMs: at, amount: quantity })) }, limits).map(() => `rapid_stock_depletion ${productId}`),
    ),
    ...products.filter(({ id, stock }) => rules.lowStock.evaluate({ productId: String(id), atMs: 0, before: stockBefore.get(id) ?? null, after: stock }, limits)?.kind === 'fired').map(({ id }) => `low_stock ${id}`),
    ...minutes.map(({ byState }) => rules.geographicAnomaly.evaluate({ startMs: 0, byState }, limits)).filter((found) => found !== null).map(({ entity }) => `geographic_anomaly ${entity}`),
  ];
}

test('in a small shop many orders at once fire no rule: it gets the customers and products that they need first', async () => {
  const shop = await server.openShop();
  const [last] = await shop.owner.query<{ order: number; customer: number }>('SELECT (SELECT max(id) FROM orders) AS order, (SELECT max(id) FROM customers) AS customer');
  assert.ok(last!.customer < 100, 'a small shop');
  await writeOrders(optionsFor(shop), { count: 500, rate: undefined, onProgress: () => undefined });
  assert.deepEqual(await fired(shop, last!.order, last!.customer, new Map()), []);
});

const ruleOf = { bulk: 'bulk_orders', 'high-value': 'high_value_order', depletion: 'rapid_stock_depletion', 'low-stock': 'low_stock', geo: 'geographic_anomaly' };

for (const kind of plannedAnomalies) {
  test(`${kind}: its rule fires once for the entity that is told, and no other rule does`, async () => {
    const shop = await server.openShop();
    const [last] = await shop.owner.query<{ order: number; customer: number }>('SELECT (SELECT max(id) FROM orders) AS order, (SELECT max(id) FROM customers) AS customer');
    const stock = await shop.owner.query<{ id: number; stock: number }>('SELECT id, stock_quantity AS stock FROM products');
    await shop.owner.query("UPDATE customers SET created_at = created_at - interval '1 day'");
    const { entity } = await writeAnomaly(optionsFor(shop), kind, limits);
    assert.deepEqual(await fired(shop, last!.order, last!.customer, new Map(stock.map((row) => [row.id, row.stock]))), [`${ruleOf[kind]} ${entity}`]);
    await assertWhole(shop);
  });
}

test('geo fires although more others register in its minute than in the one before, and one in twenty of its own moves away', async () => {
  const shop = await server.openShop();
  await shop.owner.query("UPDATE customers SET created_at = created_at - interval '1 day'");
  await shop.owner.query("INSERT INTO customers (first_name, last_name, email, state) SELECT 'a', 'b', n::text, CASE WHEN n <= 7 THEN 'TX' ELSE 'NY' END FROM generate_series(1, 12) n");
  const { entity, rows } = await writeAnomaly(optionsFor(shop), 'geo', limits);
  assert.equal(entity, 'TX');
  const moved = Math.ceil(rows / 20);
  const ofMinute = { TX: rows - moved, NY: 2 * 5 + moved };
  assert.ok(rules.geographicAnomaly.evaluate({ startMs: 0, byState: ofMinute }, limits), JSON.stringify(ofMinute));
});

test('in a shop where nothing else is written geo can be repeated: the customers are others', async () => {
  const shop = await server.openShop();
  for (let time = 0; time < 2; time += 1) {
    await shop.owner.query("UPDATE customers SET created_at = created_at - interval '2 minutes'");
    await writeAnomaly(optionsFor(shop), 'geo', limits);
  }
});

function command(...args: string[]): { child: ChildProcess; ended: Promise<{ code: number | null; out: string; err: string }> } {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main/cli.ts', 'generate', ...args], { env: { ...process.env, ...server.environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (part) => (out += String(part)));
  child.stderr.on('data', (part) => (err += String(part)));
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, out, err })) };
}

test('the command writes as sluice_writer and tells what it wrote; wrong usage ends with 2', async () => {
  const { code, out, err } = await command('--orders', '150', '--anomaly', 'bulk', '--seed', '3', '--json').ended;
  const report = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual([code, err, report['orders'], report['anomaly'], report['interrupted']], [0, '', 161, 'bulk', false]);
  assert.match(String(report['entity']), /^\d+$/);
  for (const wrong of [[], ['--orders', 'x'], ['--orders', '1', '--rate', '0'], ['--anomaly', 'flood']]) assert.equal((await command(...wrong).ended).code, 2, wrong.join(' '));
});

test('interrupted, it tells what it has written', async () => {
  const { child, ended } = command('--orders', '100000', '--rate', '20', '--json');
  const { owner } = await server.openShop();
  await until('it writes', async () => (await owner.query("SELECT FROM pg_stat_activity WHERE application_name = 'sluice-generate'")).length > 0);
  child.kill('SIGINT');
  const { code, out } = await ended;
  assert.deepEqual([code, (JSON.parse(out) as Record<string, unknown>)['interrupted']], [130, true]);
});
