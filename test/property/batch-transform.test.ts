/**
 * Goal: whatever is staged, the records and insights of a batch run are those that the rules ask for. Method: random shops with
 * every oddity a source can hold go through Parquet and DuckDB, and are worked out once more in exact fractions without SQL.
 */
import assert from 'node:assert/strict';
import { mkdtemp, mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { type DuckDb, openDuckDb, parquetSql, sqlText } from '../../src/adapters/duckdb.ts';
import { type RecordKind, transform } from '../../src/batch/transform.ts';
import { expectedBatch } from '../batch-reference.ts';
import { micros, type StagedShop, type Time, writeStaged } from '../staged-shop.ts';

const window = { start: '2026-11-21T14:00:00Z', end: '2026-11-22T14:00:00Z' };
const [start, end] = [micros(window.start), micros(window.end)];

let dir: string;
let db: DuckDb;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'batch [*]-'));
  db = await openDuckDb({ dir, memoryMb: 256, threads: 2 });
});
after(async () => {
  await db.close();
  await rm(dir, { recursive: true });
});

const day = 86_400_000_000n;
const edges = [start, start - 1n, end, end - 1n, end - 7n * day, end - 8n * day, end - 8n * day + 1n, end - 31n * day, end - 31n * day + 1n];
const strange = ['-000043-03-15T12:00:00Z', '0000-02-29T00:00:00Z', '-004712-01-01T00:00:00Z', '0999-12-31T23:59:59.900Z', '1969-12-31T23:59:59.999Z'].map(micros);
const time: fc.Arbitrary<Time> = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: start, max: end }) },
  { weight: 3, arbitrary: fc.bigInt({ min: end - 45n * day, max: end + day }) },
  { weight: 6, arbitrary: fc.constantFrom(...edges) },
  { weight: 2, arbitrary: fc.constantFrom(...strange.flatMap((at) => [at, at + 120_000n, at - 1n])) },
  { weight: 1, arbitrary: fc.constantFrom<Time>(null, 'infinity', '-infinity') },
);
const cents = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<bigint | null>(0n, 5n, 100n, 100n, 250n, 333n, -5n, -250n, null) },
  { weight: 3, arbitrary: fc.bigInt({ min: -500n, max: 500n }) },
  { weight: 1, arbitrary: fc.constantFrom(9_999_999_999n, -9_999_999_999n, 2n ** 62n, -(2n ** 62n)) },
);
const quantity = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1n, 1n, 2n, 3n, 7n, 0n, -2n, null) }, { weight: 1, arbitrary: fc.constantFrom(2n ** 31n - 1n, -(2n ** 31n)) });
const stock = fc.constantFrom(null, 0n, 1n, 2n, 3n, 7n, 10n, 11n, 499n, 500n, -5n, 2n ** 31n - 1n);
const text = fc.oneof(
  fc.constantFrom(null, '', `O'Brien "the\\" <b>`, 'line\nbreak\r\ttab', '\u0001\u001f\u007f\u2028', 'Zoë 😀 日本'),
  fc.string({ unit: 'binary', maxLength: 8 }).filter((name) => !name.includes('\0')),
);
const status = fc.constantFrom(null, 'pending', 'processing', 'shipped', 'delivered', 'cancelled', 'cancelled', '(none)', `odd "one"|'s`);
const nullable = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(of, { freq: 8 });

const ids = (sizeMax: number): fc.Arbitrary<bigint[]> => fc.uniqueArray(fc.oneof(fc.bigInt({ min: 1n, max: 40n }), fc.bigInt({ min: -5n, max: 2n ** 31n })), { maxLength: sizeMax });
const record = <T extends object>(parts: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> => fc.record<T>(parts, { noNullPrototype: true });
const rowsOf = <T extends { id: bigint | null }>(of: bigint[], parts: { [K in Exclude<keyof T, 'id'>]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T[]> =>
  fc.tuple(...of.map((id) => record<T>({ id: fc.constant(id), ...parts } as { [K in keyof T]: fc.Arbitrary<T[K]> })));
const oneOf = (of: bigint[]): fc.Arbitrary<bigint | null> => (of.length === 0 ? fc.constant(null) : nullable(fc.constantFrom(...of)));

const shops: fc.Arbitrary<StagedShop> = fc.tuple(ids(16), ids(16), ids(30), ids(40)).chain(([customers, products, orders, items]) =>
  record<StagedShop>({
    customers: rowsOf<StagedShop['customers'][number]>(customers, { first_name: text, last_name: text, city: text, state: text, created_at: time }),
    products: rowsOf<StagedShop['products'][number]>(products, {
      name: text,
      category: text,
      price_text: fc.constantFrom(null, 'NaN', '39.90', '-0.01'),
      price_cents: cents,
      stock_quantity: stock,
      created_at: time,
    }),
    orders: rowsOf<StagedShop['orders'][number]>(orders, { customer_id: oneOf(customers), order_date: time, total_cents: cents, status }),
    order_items: rowsOf<StagedShop['order_items'][number]>(items, { order_id: oneOf(orders), product_id: oneOf(products), quantity, unit_price_cents: cents }),
  }),
);

async function recordsIn(outDir: string, kind: RecordKind): Promise<Map<string, unknown>> {
  const rows = await db.rows<{ id: string; record: string }>(`SELECT id, record FROM ${parquetSql([join(outDir, `${kind}.parquet`)])}`);
  const found = new Map(rows.map(({ id, record }) => [id, Object.entries(JSON.parse(record) as object)]));
  assert.equal(found.size, rows.length, 'ids are unique');
  return found;
}

test('records and insights are those of the rules, worked out in exact fractions', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(shops, async (shop) => {
      const [sourceDir, outDir] = [join(dir, `${++runs}-in`), join(dir, `${runs}-out`)];
      await mkdir(sourceDir);
      await writeStaged(db, sourceDir, shop);
      const insights = await transform({ db, sourceDir, outDir, window });
      const expected = expectedBatch(shop, start, end);
      assert.deepEqual(insights, expected.insights);
      for (const kind of ['customers', 'products', 'orders'] as const) assert.deepEqual(await recordsIn(outDir, kind), expected[kind]);
      assert.deepEqual((await readdir(outDir)).sort(), ['customers.parquet', 'insights.parquet', 'orders.parquet', 'products.parquet']);
    }),
    // A counterexample is made smaller for so long at most: a run takes a tenth of a second.
    { numRuns: 60, interruptAfterTimeLimit: 40_000 },
  );
});

test('hundreds of thousands of rows pass through a memory that does not hold them', { timeout: 60_000 }, async () => {
  const [sourceDir, outDir] = [join(dir, 'large-in'), join(dir, 'large-out')];
  await mkdir(sourceDir);
  const write = (name: string, rows: number, columns: string): Promise<void> =>
    db.run(`COPY (SELECT range AS id, ${columns} FROM range(${rows})) TO ${sqlText(join(sourceDir, `${name}-1.parquet`))} (FORMAT parquet, ROW_GROUP_SIZE 20_480)`);
  const spread = (salt: number, upto: number): string => `(hash(range + ${salt}000000007) % ${upto})::BIGINT`;
  await write('customers', 100_000, `'Ada' AS first_name, repeat('x', 200) || range AS last_name, NULL AS city, NULL AS state, NULL::TIMESTAMP AS created_at`);
  await write('products', 50_000, `'P' AS name, 'C' AS category, '1.00' AS price_text, 100 AS price_cents, 5 AS stock_quantity, NULL::TIMESTAMP AS created_at`);
  await write('orders', 200_000, `${spread(1, 100_000)} AS customer_id, TIMESTAMP '2026-11-22' AS order_date, 100 AS total_cents, 'pending' AS status`);
  await write('order_items', 600_000, `${spread(2, 200_000)} AS order_id, ${spread(3, 50_000)} AS product_id, 1 AS quantity, 100 AS unit_price_cents`);

  const small = await openDuckDb({ dir: join(dir, 'small'), memoryMb: 80, threads: 2 });
  let spilled = 0;
  const looking = setInterval(() => void readdir(join(dir, 'small', 'spill')).then((files) => (spilled = Math.max(spilled, files.length)), () => undefined), 2);
  try {
    const result = await transform({ db: small, sourceDir, outDir, window });
    assert.deepEqual(result.records_processed, { customers: 100_000, products: 50_000, orders: 1 });
    assert.equal(result.customer_insights.total_customer_value, '200000.00');
    assert.equal(result.product_insights.total_revenue, '600000.00');
    assert.ok(spilled > 0, 'what did not fit went to the disk');
  } finally {
    clearInterval(looking);
    await small.close();
  }
});
