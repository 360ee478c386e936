/**
 * Goal: the source schema is what sql/ says, and a file changed after it was applied is refused.
 * Method: the stack's own database for what is there, a database of its own for what must be refused.
 */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectPostgres, type Database } from '../../src/adapters/postgres.ts';
import { requireSecret } from '../../src/config.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { migrate } from '../../src/stack/migrations.ts';
import { useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let db: Database;
let dir: string;
before(async () => {
  stack = await useStack();
  await stack.db.query('CREATE DATABASE migration_trial');
  const { POSTGRES_PORT: port, POSTGRES_USER: user } = stack.settings;
  const password = requireSecret(stack.settings, 'POSTGRES_PASSWORD');
  db = connectPostgres({ host: '127.0.0.1', port, user, password, database: 'migration_trial', name: 'test' });
  dir = mkdtempSync(join(tmpdir(), 'sluice-sql-'));
  cpSync('sql', dir, { recursive: true });
});
after(async () => {
  await db.close();
  await stack.db.query('DROP DATABASE migration_trial');
  await stack.stop();
  rmSync(dir, { recursive: true });
});

const columnsOf = async (table: string): Promise<string> => {
  const rows = await db.query<{ columns: string }>(
    `SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) AS columns FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1`,
    [table],
  );
  return rows[0]?.columns ?? '';
};
const refusal = (file: string) => (error: unknown) => error instanceof PipelineError && error.code === 'migration_changed' && error.message.includes(file);

test('two processes that migrate at once apply every file exactly once', async () => {
  const both = (await Promise.all([migrate(db, dir), migrate(db, dir)])).flat();
  assert.deepEqual(both.sort(), readdirSync('sql').filter((file) => file.endsWith('.sql')).sort());
  assert.deepEqual(await migrate(db, dir), []);
});

test('the four tables have the columns of the contract, and the seed is consistent', async () => {
  assert.equal(await columnsOf('customers'), 'id first_name last_name email phone address city state zip_code created_at updated_at');
  assert.equal(await columnsOf('products'), 'id name description price category stock_quantity created_at updated_at');
  assert.equal(await columnsOf('orders'), 'id customer_id order_date total_amount status shipping_address created_at updated_at');
  assert.equal(await columnsOf('order_items'), 'id order_id product_id quantity unit_price created_at');
  const orders = await db.query<{ total_amount: string; items: string }>(
    'SELECT o.total_amount, sum(i.quantity * i.unit_price) AS items FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id',
  );
  assert.ok(orders.length > 0);
  for (const { total_amount, items } of orders) assert.equal(total_amount, items);
});

test('an update moves updated_at, and created_at stays', async () => {
  const [row] = await db.query<{ moved: boolean; kept: boolean }>(
    `UPDATE products p SET price = p.price + 1 FROM products old WHERE p.id = old.id AND p.id = 1
     RETURNING p.updated_at > old.updated_at AS moved, p.created_at = old.created_at AS kept`,
  );
  assert.deepEqual(row, { moved: true, kept: true });
});

test('a file that fails is rolled back whole, and applied when it is mended', async () => {
  const file = join(dir, '999_trial.sql');
  writeFileSync(file, 'CREATE TABLE half (a int); SELECT nonsense;');
  await assert.rejects(migrate(db, dir), (error: unknown) => error instanceof PipelineError && error.code === 'postgres_refused');
  assert.equal(await columnsOf('half'), '');
  writeFileSync(file, 'CREATE TABLE half (a int);');
  assert.deepEqual(await migrate(db, dir), ['999_trial.sql']);
});

test('a changed file is refused and named; so is one that is gone', async () => {
  appendFileSync(join(dir, '002_change_capture.sql'), '-- edited\n');
  await assert.rejects(migrate(db, dir), refusal('002_change_capture.sql'));
  cpSync('sql/002_change_capture.sql', join(dir, '002_change_capture.sql'));
  rmSync(join(dir, '999_trial.sql'));
  await assert.rejects(migrate(db, dir), refusal('999_trial.sql'));
});
