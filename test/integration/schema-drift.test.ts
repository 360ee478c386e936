/**
 * Goal: whatever becomes of columns under the running pipeline, every row follows by itself and nothing is left as a dead letter.
 * Method: a stack of its own, ALTER TABLE by hand with updates on both sides of it, then `sluice verify`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PipelineError } from '../../src/domain/errors.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import { assertVerified, startStack, until, withoutGenerator, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await startStack();
});
after(() => stack.stop());

const sql = (text: string): Promise<Record<string, unknown>[]> => stack.db.query<Record<string, unknown>>(text);
const row = async (name: string): Promise<string | null> => (await stack.redis.strings([stack.keys.of(name)]))[0] ?? null;
const why = async (table: string): Promise<string> => (await stack.redis.hash(stack.keys.status))[`${table}:why`] ?? '';
const dead = async (table: string): Promise<number> => Number((await stack.redis.hash(stack.keys.of(`cdc:stats:${table}`)))['dead'] ?? 0);
const calm = async (): Promise<boolean> => (await createReplicaStatus(stack.redis, stack.keys).conditions()).length === 0;
const generation = async (table: string): Promise<number> => (await readTableState(stack.redis, stack.keys, table)).generation;

/** Open dead letters of the table: key, reason, detail. */
async function letters(table: string): Promise<string[][]> {
  const { letters: found } = JSON.parse((await stack.sluice('dlq', 'ls', '--table', table, '--json')).stdout) as { letters: { key: string; reason: string; detail: string }[] };
  return found.map(({ key, reason, detail }) => [key, reason, detail]);
}

/** Every row of products changes, so that images of all columns are on their way at the same time. */
const touch = 'UPDATE products SET updated_at = NULL';

/** Runs the statements one by one, the rows touched before, between and after them. A deadlock with the generator is tried again. */
async function run(statements: string[]): Promise<void> {
  for (const text of [touch, ...statements.flatMap((statement) => [statement, touch, touch])]) await until(text, () => sql(text).catch(giveUpLater));
}

function giveUpLater(error: unknown): false {
  if (error instanceof PipelineError && error.action === 'retry') return false;
  throw error;
}

/** Does the work, sees that the table is read again and ends equal to the source, without help. */
async function readAgain(table: string, work: () => Promise<unknown>): Promise<void> {
  const before = await generation(table);
  await work();
  await until(`${table} is read again`, async () => (await generation(table)) > before, 60_000);
  await until('everything runs again', calm, 60_000, 200).catch(async (error: Error) => assert.fail(`${error.message}: ${await why(table)}`));
  await assertVerified(stack);
}

async function pidOf(name: string): Promise<number> {
  return (await stack.status()).processes.find((one) => one.name === name)!.pid;
}

/** All of it lies in the topic, in every partition, before the consumer sees any. */
async function whileConsumerStands(work: () => Promise<void>): Promise<void> {
  const pid = await pidOf('cdc-consumer');
  process.kill(pid, 'SIGSTOP');
  await work().finally(() => process.kill(pid, 'SIGCONT'));
}

interface Change {
  name: string;
  statements: string[];
  around?: (work: () => Promise<void>) => Promise<void>;
  /** What product 1 has in the end. */
  ends: RegExp;
}

const thereAndBack = [
  'ALTER TABLE products RENAME COLUMN code TO number',
  'ALTER TABLE products ALTER COLUMN size DROP DEFAULT, ALTER COLUMN size TYPE text',
  'ALTER TABLE products ADD COLUMN moment integer NOT NULL DEFAULT 1',
  'ALTER TABLE products DROP COLUMN moment',
  'ALTER TABLE products ALTER COLUMN size TYPE bigint USING size::bigint',
  'ALTER TABLE products RENAME COLUMN number TO code',
];

const changes: Change[] = [
  {
    name: 'columns are added with defaults, one beyond 2^53, and NOT NULL, while every partition lags',
    around: whileConsumerStands,
    statements: ['ALTER TABLE products ADD COLUMN rank bigint NOT NULL DEFAULT 9007199254740993', "ALTER TABLE products ADD COLUMN size integer DEFAULT 7, ADD COLUMN code varchar(40) DEFAULT '17'"],
    ends: /"rank":9007199254740993,"size":7,"code":"17"/,
  },
  {
    name: 'columns are renamed and retyped: text to bigint, varchar to text, integer to bigint beyond 2^53, bigint to text',
    statements: [
      'ALTER TABLE products RENAME COLUMN rank TO place',
      'ALTER TABLE products ALTER COLUMN code TYPE text, ALTER COLUMN size TYPE bigint',
      'UPDATE products SET size = 9007199254740995',
      'ALTER TABLE products ALTER COLUMN code DROP DEFAULT, ALTER COLUMN code TYPE bigint USING code::bigint',
      'ALTER TABLE products ALTER COLUMN place DROP DEFAULT, ALTER COLUMN place TYPE text',
    ],
    ends: /"place":"9007199254740993","size":9007199254740995,"code":17/,
  },
  {
    name: 'columns are renamed, retyped, added and at once changed back',
    statements: thereAndBack,
    ends: /"place":"9007199254740993","size":9007199254740995,"code":17/,
  },
  {
    name: 'columns are renamed, retyped, added and at once changed back, while every partition lags',
    around: whileConsumerStands,
    statements: thereAndBack,
    ends: /"place":"9007199254740993","size":9007199254740995,"code":17/,
  },
  {
    name: 'columns are dropped',
    statements: ['ALTER TABLE products DROP COLUMN code', 'ALTER TABLE products DROP COLUMN place, DROP COLUMN size'],
    ends: /^(?!.*"(code|place|size)")/,
  },
];

for (const { name, statements, around = (work: () => Promise<void>) => work(), ends } of changes) {
  test(`${name}: every row follows`, async () => {
    await readAgain('products', () => around(() => run(statements)));
    assert.match((await row('product:1')) ?? '', ends);
    assert.deepEqual(await letters('products'), []);
  });
}

test('a column becomes a timestamp whose images look like the text it was: infinite moments are told as such', async () => {
  await readAgain('products', () => run(["ALTER TABLE products ADD COLUMN sold_until text DEFAULT 'infinity', ADD COLUMN weight numeric"]));
  await readAgain('products', () => run(['ALTER TABLE products ALTER COLUMN sold_until DROP DEFAULT, ALTER COLUMN sold_until TYPE timestamp USING sold_until::timestamp']));
  assert.match((await row('product:1')) ?? '', /"sold_until":"infinity"/);
  assert.deepEqual(await letters('products'), []);
});

test('infinite and unreal amounts in a numeric of any size keep their value', async () => {
  const text = await withoutGenerator(stack, async () => {
    const [product] = await sql("INSERT INTO products (name, price, weight) VALUES ('heavy', 1, 'Infinity') RETURNING id");
    await sql("INSERT INTO products (name, price, weight) VALUES ('light', 1, '-Infinity'), ('odd', 1, 'NaN'), ('exact', 1, 12345678901234567890.000000000000001)");
    return until('the product', async () => (await row(`product:${String(product!['id'])}`)) ?? undefined);
  });
  assert.match(text, /"weight":"Infinity"/);
  await assertVerified(stack);
});

test('columns of any usual type are compared as they are sent', async () => {
  const added = ["day date DEFAULT '2000-01-31'", "hour time DEFAULT '07:08:09.5'", "zoned timetz DEFAULT '07:08:00+02'", "raw bytea DEFAULT '\\xdeadbeef'", "tags text[] DEFAULT '{a,\"b c\"}'", "counts bigint[] DEFAULT '{1,9007199254740993}'", `doc jsonb DEFAULT '{"a": [1, 2.50]}'`, "code uuid DEFAULT '6ba7b810-9dad-11d1-80b4-00c04fd430c8'", 'yes boolean DEFAULT true', 'share real DEFAULT 0.1'];
  await readAgain('products', () => run([`ALTER TABLE products ${added.map((column) => `ADD COLUMN ${column}`).join(', ')}`]));
  await readAgain('products', () => run([`ALTER TABLE products ${added.map((column) => `DROP COLUMN ${column.split(' ')[0]}`).join(', ')}`]));
});

test('a table is replaced by a partitioned one: its events come under its name, and it is read again', async () => {
  await readAgain('order_items', () =>
    withoutGenerator(stack, async () => {
      await stack.db.transaction((tx) => tx.query(`
        ALTER TABLE order_items RENAME TO order_items_whole;
        CREATE TABLE order_items (LIKE order_items_whole INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id);
        CREATE TABLE order_items_even PARTITION OF order_items FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE order_items_odd PARTITION OF order_items FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        ALTER TABLE order_items REPLICA IDENTITY FULL;
        ALTER TABLE order_items_even REPLICA IDENTITY FULL;
        ALTER TABLE order_items_odd REPLICA IDENTITY FULL;
        ALTER SEQUENCE order_items_id_seq OWNED BY order_items.id;
        GRANT SELECT ON order_items TO sluice_replication, sluice_reader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON order_items TO sluice_writer;
        ALTER PUBLICATION sluice DROP TABLE order_items_whole;
        ALTER PUBLICATION sluice ADD TABLE order_items;
        INSERT INTO order_items SELECT * FROM order_items_whole;
        DROP TABLE order_items_whole`));
    }),
  );
  const ids = (await sql('INSERT INTO order_items (quantity, unit_price) SELECT 1, 1.25 FROM generate_series(1, 8) RETURNING id')).map(({ id }) => String(id));
  for (const id of ids) await until(`item ${id}`, async () => (await row(`order_item:${id}`)) ?? undefined);
  await sql('UPDATE order_items SET quantity = 2');
  await sql(`DELETE FROM order_items WHERE id = ${ids[0]}`);
  await assertVerified(stack);
  await sql('TRUNCATE order_items');
  await assertVerified(stack);
  assert.deepEqual(await letters('order_items'), []);
});

test('a counted column that is gone parks what changes, is told, and is no reason to read; once restored the table follows', async () => {
  await withoutGenerator(stack, async () => {
    const before = await generation('products');
    await readAgain('products', async () => {
      await sql('ALTER TABLE products DROP COLUMN category');
      await sql('UPDATE products SET price = price + 1 WHERE id = 1');
      await until('the column is named', async () => (await why('products')).startsWith('column category is missing: restore it'));
      await until('the change waits', async () => (await dead('products')) === 1);
      const verify = await stack.sluice('verify');
      assert.equal(verify.code, 1);
      assert.match(verify.stderr, /a column that they are made of is gone or of another type \(42703\)\. sluice status names it/);
      const refused = await stack.sluice('resync', 'products');
      assert.equal(refused.code, 1);
      assert.match(refused.stdout + refused.stderr, /products cannot be read again: column category is missing: restore it first/);
      await sql('ALTER TABLE products ADD COLUMN category text');
      await sql("UPDATE products SET category = 'Home' WHERE id = 1");
    });
    assert.equal(await generation('products'), before + 1);
  });
  assert.match((await row('product:1')) ?? '', /"category":"Home"/);
  assert.deepEqual(await letters('products'), [['1', 'bad_column', 'column category is missing']]);
});

test('a column that only the stream counts is gone: the replica follows, and it is told until the column is restored', async () => {
  await withoutGenerator(stack, async () => {
    await readAgain('products', async () => {
      await sql('ALTER TABLE products DROP COLUMN stock_quantity');
      await until('the row has followed', async () => (await row('product:1'))?.includes('stock_quantity') === false);
      await until('the column is named', async () => (await why('products')).startsWith('sluice-stream: column stock_quantity is missing: restore it'));
      await sql('ALTER TABLE products ADD COLUMN stock_quantity integer NOT NULL DEFAULT 100');
    });
  });
  assert.match((await row('product:1')) ?? '', /"stock_quantity":100/);
  await assertVerified(stack);
});

test('a large value that was not sent and is not known parks its row, and the table is read again', async () => {
  let id = '';
  await withoutGenerator(stack, () =>
    readAgain('orders', async () => {
      await sql('ALTER TABLE orders REPLICA IDENTITY DEFAULT');
      await sql('ALTER PUBLICATION sluice DROP TABLE orders');
      const [order] = await sql("INSERT INTO orders (total_amount, shipping_address) VALUES (1.00, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 4096))) RETURNING id");
      id = String(order!['id']);
      await sql('ALTER PUBLICATION sluice ADD TABLE orders');
      await sql(`UPDATE orders SET total_amount = 2.00 WHERE id = ${id}`);
    }),
  );
  await sql('ALTER TABLE orders REPLICA IDENTITY FULL');
  const { total_amount: amount, shipping_address: address } = JSON.parse((await row(`order:${id}`))!) as Record<string, string>;
  assert.deepEqual([amount, address?.length], ['2.00', 131_072]);
  assert.deepEqual((await letters('orders')).map(([key, reason]) => [key, reason]), [[id, 'unavailable_value']]);
});

test('a row whose image is rejected when its table is read again keeps the image it has', async () => {
  await withoutGenerator(stack, () => readAgain('orders', () => sql('ALTER TABLE orders ALTER COLUMN total_amount TYPE numeric')));
  const [order] = await sql("INSERT INTO orders (total_amount, status) VALUES (1.50, 'pending') RETURNING id");
  const id = String(order!['id']);
  const amount = async (): Promise<unknown> => (JSON.parse((await row(`order:${id}`)) ?? '{}') as Record<string, unknown>)['total_amount'];
  await until('the order', async () => (await amount()) === '1.50');
  const before = await dead('orders');
  await sql(`UPDATE orders SET total_amount = 'Infinity' WHERE id = ${id}`);
  await until('the change waits', async () => (await dead('orders')) > before);
  const outcome = await stack.sluice('resync', 'orders');
  assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
  assert.equal(await amount(), '1.50');
  await sql(`UPDATE orders SET total_amount = 2.50 WHERE id = ${id}`);
  await until('it is told', async () => (await amount()) === '2.50');
  await assertVerified(stack);
});
