/**
 * Goal: the processor that docs/extending.md shows counts what SQL counts, while the shop changes and after the process was killed.
 * Method: it runs beside the stack as a reader would run it; its hash is compared with a GROUP BY.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { projectRoot } from '../../src/stack/project.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let running: ChildProcess;
before(async () => {
  stack = await useStack();
  running = start();
});
after(async () => {
  await end('SIGTERM');
  await stack.stop();
});

const start = (): ChildProcess =>
  spawn(process.execPath, ['--import', 'tsx', 'examples/orders-by-hour.ts'], { cwd: projectRoot, env: { ...process.env, ...stack.env }, stdio: 'ignore' });

async function end(signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => running.once('exit', resolve));
  running.kill(signal);
  await gone;
}

async function isEqual(): Promise<boolean> {
  const rows = await stack.db.query<{ hour: string; orders: string }>("SELECT to_char(order_date, 'HH24') AS hour, count(*)::text AS orders FROM orders WHERE isfinite(order_date) GROUP BY 1");
  const found = Object.entries(await stack.redis.hash(stack.keys.of('processor:by-hour:orders'))).filter(([, count]) => count !== '0');
  return rows.length > 0 && isDeepStrictEqual(Object.fromEntries(found), Object.fromEntries(rows.map(({ hour, orders }) => [hour, orders])));
}

test('orders by hour equal SQL, also when they move to another hour, are deleted, and the process is killed', async () => {
  await until('the example has caught up', isEqual, 120_000, 200);
  await stack.db.query("INSERT INTO orders (order_date) VALUES ('294276-12-31 23:59:59.999999'), ('4713-01-01 00:30 BC'), ('infinity'), (NULL)");
  const [moved, gone] = await stack.db.query<{ id: string }>("INSERT INTO orders (order_date, status) SELECT '2026-11-22 03:00', 'set aside' FROM generate_series(1, 2) RETURNING id::text"); // a status that the generator leaves alone
  await until('both are counted', isEqual, 120_000, 200);
  await end('SIGKILL');
  await stack.db.query("UPDATE orders SET order_date = '2026-11-22 04:00' WHERE id = $1", [moved!.id]);
  await stack.db.query('DELETE FROM orders WHERE id = $1', [gone!.id]);
  running = start();
  await until('the move and the delete are counted', isEqual, 120_000, 200);
  assert.notEqual((await stack.redis.hash(stack.keys.of('processor:by-hour:orders')))['04'] ?? '0', '0');
});
