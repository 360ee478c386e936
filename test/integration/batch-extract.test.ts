/**
 * Goal: what is staged is every row of one moment, value by value, whatever the source holds.
 * Method: a real PostgreSQL, pages of a few rows and bytes; DuckDB reads the staged files, SQL over the same snapshot says what they must hold.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { extract } from '../../src/batch/extract.ts';
import type { ExtractProgress } from '../../src/batch/extract-tally.ts';
import { batchTables } from '../../src/domain/batch-staging.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { type ExtractionLab, openExtractionLab } from '../extraction.ts';
import type { TestShop } from '../postgres.ts';

let lab: ExtractionLab;
before(async () => {
  lab = await openExtractionLab();
});
after(() => lab.close());

const oddTexts = ['', ' ', 'NULL', 'NaN', '\\N', '\\.', '"', '""', "O'Hara", 'a,b', 'a"b"c', 'line\nbreak', 'cr\rlf\r\n', '\t', '\\', '\\n', '\u0001\u0002\u007f', '\u{feff}bom', 'Zoë 🦆 漢字 \u{10ffff}', '"\n"\n,"', ' lead and trail '];
const oddTimes = ['infinity', '-infinity', '0044-03-15 12:00:00.000001 BC', '4713-01-01 00:00:00 BC', '0001-01-01 00:00:00', '1969-12-31 23:59:59.999999', '12345-06-07 08:09:10.5', '294246-12-31 23:59:59.999999', '2024-02-29 00:00:00.123456'];

async function addOddRows({ owner }: TestShop): Promise<void> {
  for (const [i, text] of oddTexts.entries()) {
    await owner.query(`INSERT INTO customers (id, first_name, last_name, email, city, state, created_at) VALUES ($1, $2, $3, $4, $2, NULL, NULL)`, [1000 + i, text, oddTexts.at(-1 - i), `odd${i}`]);
    await owner.query(`INSERT INTO orders (id, customer_id, order_date, total_amount, status) VALUES ($1, 1, NULL, NULL, $2)`, [2000 + i, text]);
    await owner.query(`INSERT INTO products (id, name, price, category, stock_quantity) VALUES ($1, $2, 0, $2, NULL)`, [3000 + i, text]);
  }
  for (const [i, time] of oddTimes.entries()) {
    await owner.query(`INSERT INTO customers (id, first_name, last_name, email, created_at) VALUES ($1, '', '', $2, $3)`, [4000 + i, `time${i}`, time]);
    await owner.query(`INSERT INTO orders (id, customer_id, order_date, status) VALUES ($1, NULL, $2, NULL)`, [5000 + i, time]);
  }
  for (const [i, amount] of ['NaN', '0', '-0.01', '0.05', '99999999.99', '-99999999.99'].entries()) {
    await owner.query(`INSERT INTO products (id, name, price, stock_quantity) VALUES ($1, 'p', $2, -2147483648)`, [6000 + i, amount]);
    await owner.query(`INSERT INTO orders (id, customer_id, total_amount) VALUES ($1, 1, $2)`, [6000 + i, amount]);
    await owner.query(`INSERT INTO order_items (id, order_id, product_id, quantity, unit_price) VALUES ($1, NULL, NULL, $2, $3)`, [6000 + i, i - 3, amount]);
  }
}

test('every value arrives as PostgreSQL has it, in pages of a few bytes and in large ones', async () => {
  const shop = await lab.postgres.openShop();
  await addOddRows(shop);
  await lab.assertSame(shop);
  await lab.assertSame(shop, { readers: 1, pageRows: 100_000, pageBytes: 2 ** 25 });
});

test('names of a megabyte arrive whole', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query(
    `INSERT INTO customers (id, first_name, last_name, email, city) SELECT 100 + i, repeat(chr(34), 500000 * i), repeat('é' || chr(10), 300000), 'long' || i, '' FROM generate_series(1, 3) i`,
  );
  await lab.assertSame(shop, { pageRows: 1000, pageBytes: 2 ** 20 });
});

test('negative, zero, sparse and 64-bit ids: every row comes once', async () => {
  const shop = await lab.postgres.openShop();
  for (const table of batchTables) await shop.owner.query(`ALTER TABLE ${table} ALTER id TYPE bigint`);
  await shop.owner.query(`ALTER TABLE order_items ALTER quantity TYPE bigint, ALTER unit_price TYPE numeric(16,2); ALTER TABLE products ALTER stock_quantity TYPE smallint`);
  await shop.owner.query(
    `INSERT INTO order_items (id, quantity, unit_price) SELECT i, 9223372036854775807, -99999999999999.99 FROM unnest(ARRAY[-9223372036854775808, -9223372036854775807, -5, -1, 0, 4611686018427387904, 9223372036854775806, 9223372036854775807]) i;
     INSERT INTO orders (id, status) SELECT i * i * i, 'x' FROM generate_series(-60, -1) i`,
  );
  const rows = await lab.assertSame(shop, { pageRows: 3 });
  assert.ok(rows.orders > 60);
});

test('without a primary key, rows whose ids repeat or are NULL are staged as often as they are there', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query(
    `ALTER TABLE order_items DROP CONSTRAINT order_items_pkey, ALTER id DROP NOT NULL;
     INSERT INTO order_items (id, quantity) SELECT i / 10, i FROM generate_series(1, 200) i;
     INSERT INTO order_items (id, quantity) SELECT NULL, i FROM generate_series(1, 50) i`,
  );
  await lab.assertSame(shop, { pageRows: 4 });
});

test('zoned times are taken as UTC, strings and enums as their text; unbounded amounts that fit are exact', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query(
    `CREATE TYPE order_status AS ENUM ('pending', 'a "b", c', 'shipped'); CREATE DOMAIN amount AS numeric;
     DROP INDEX orders_open_idx;
     DELETE FROM order_items; DELETE FROM orders;
     ALTER TABLE orders ALTER status DROP DEFAULT, ALTER status TYPE order_status USING NULL, ALTER order_date TYPE timestamptz, ALTER total_amount TYPE amount;
     ALTER TABLE customers ALTER state TYPE char(4), ALTER city TYPE varchar(2000);
     SET TimeZone = 'UTC';
     INSERT INTO orders (id, order_date, total_amount, status) VALUES (1, '2026-03-29 02:30:00.5+02', '12.3', 'a "b", c'), (2, 'infinity', '1.5000', NULL), (3, '0001-01-01 00:00:00 BC', '99999999999999.99', 'shipped'), (4, NULL, 'NaN', NULL)`,
  );
  await lab.assertSame(shop);
});

test('a time beyond the last one that can be staged becomes infinity', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query(`UPDATE orders SET order_date = '294276-12-31 23:59:59.999999'`);
  const asked = lab.options(shop);
  await extract(asked);
  const staged = await lab.stagedRows(asked.set);
  assert.ok(staged.orders.length > 0 && staged.orders.every((row) => row.includes('"infinity"')));
});

test('empty tables are staged with their columns', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query('TRUNCATE customers, products, orders, order_items');
  assert.deepEqual(await lab.assertSame(shop), { customers: 0, products: 0, orders: 0, order_items: 0 });
});

test('what is written during the extraction is not in it', async () => {
  const shop = await lab.postgres.openShop();
  await shop.owner.query(`INSERT INTO order_items (id, order_id, quantity) SELECT i, 1, i FROM generate_series(1000, 3000) i`);
  await lab.assertSame(shop, {}, async () => {
    for (let i = 0; i < 30; i += 1) {
      await shop.owner.query(
        `UPDATE orders SET total_amount = total_amount + 1; DELETE FROM order_items WHERE id % 30 = ${i}; UPDATE order_items SET id = id + 100000 WHERE id % 31 = ${i} AND id < 4000;
         INSERT INTO order_items (order_id, quantity) SELECT 1, ${i} FROM generate_series(1, 20)`,
      );
    }
  });
});

const problems: [string, RegExp][] = [
  [`ALTER TABLE orders ALTER total_amount TYPE text`, /orders\.total_amount is text, needs numeric\(p,2\)/],
  [`ALTER TABLE order_items ALTER unit_price TYPE double precision`, /order_items\.unit_price is double precision, needs numeric/],
  [`ALTER TABLE products RENAME category TO kind`, /products\.category is missing/],
  [`ALTER TABLE customers ALTER created_at DROP DEFAULT, ALTER created_at TYPE date`, /customers\.created_at is date, needs timestamp/],
  [`ALTER TABLE products ALTER stock_quantity DROP DEFAULT, ALTER stock_quantity TYPE numeric`, /products\.stock_quantity is numeric, needs smallint, integer or bigint/],
  [`DROP TABLE order_items`, /table order_items is missing/],
  [`ALTER TABLE orders ALTER total_amount TYPE numeric; UPDATE orders SET total_amount = 1.005 WHERE id = 2`, /orders\.total_amount: 1 values have parts of a cent .* id 2/],
  [`ALTER TABLE products ALTER price TYPE numeric; UPDATE products SET price = 1e14 WHERE id = 3`, /products\.price: 1 values .* id 3/],
  [`ALTER TABLE products ALTER price TYPE numeric; UPDATE products SET price = '-Infinity' WHERE id = 1`, /products\.price: 1 values .* id 1/],
];

test('what cannot be read is refused with table, column and reason, and is not tried again', async () => {
  for (const [change, message] of problems) {
    const shop = await lab.postgres.openShop();
    await shop.owner.query(change);
    await assert.rejects(extract(lab.options(shop)), (error) => error instanceof PipelineError && error.code === 'batch_schema' && error.action !== 'retry' && message.test(error.message), change);
  }
});

test('progress tells the rows so far and the estimate', async () => {
  const shop = await lab.postgres.openShop();
  const told: ExtractProgress[] = [];
  const { rows } = await extract(lab.options(shop, { onProgress: (progress) => void told.push(progress) }));
  assert.deepEqual(told.at(-1)?.rows, rows);
  assert.ok(told.at(-1)!.rowsEstimated > 0);
});
