/**
 * Goal: verify judges a replica that never stands still, by holding the consumers for a moment, and lets them go again.
 * Method: writers that change revenue every few milliseconds for as long as verify runs.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../../src/adapters/postgres.ts';
import { projectRoot } from '../../src/stack/project.ts';
import { until, useStack, verify, type TestStack } from '../stack.ts';

const writerCount = 8;
const writePauseMs = 5;

let stack: TestStack;
let shop: Database;
before(async () => {
  stack = await useStack();
  shop = stack.connectAs('sluice_writer', 'SLUICE_WRITER_PASSWORD');
});
after(async () => {
  await shop.close();
  await stack.stop();
});

test('under steady writes the counters are compared at a hold, and the consumers go on after it', async () => {
  const traffic = await startTraffic();
  try {
    const { code, report } = await verify(stack, ({ behind, aggregates }) => behind || aggregates.method === 'quiet'); // a disk that stalls makes it quiet
    assert.equal(code, 0, JSON.stringify(report));
    assert.equal(report.aggregates.method, 'hold', 'quiet moments were found: the traffic was not enough to force a hold');
    assert.deepEqual(await stack.redis.strings([stack.keys.hold]), [null]);
    assert.deepEqual(await stack.redis.hash(stack.keys.held), {});
    await newOrdersArrive();
  } finally {
    await traffic.stop();
  }
});

test('interrupted while it holds the consumers, verify ends at once with 130 and lets them go', async () => {
  const traffic = await startTraffic();
  try {
    const child = spawn(process.execPath, ['bin/sluice.mjs', 'verify'], { cwd: projectRoot, env: { ...process.env, ...stack.env }, stdio: 'ignore' });
    const code = new Promise((resolve) => child.once('exit', resolve));
    await until('a hold', async () => (await stack.redis.strings([stack.keys.hold]))[0] ?? undefined, 60_000, 5);
    const interruptedMs = performance.now();
    child.kill('SIGINT');
    assert.equal(await code, 130);
    assert.ok(performance.now() - interruptedMs < 2_500, 'it took its time');
    assert.deepEqual(await stack.redis.strings([stack.keys.hold]), [null]);
    await newOrdersArrive();
  } finally {
    await traffic.stop();
  }
});

/** Orders that change all the time, each by a writer of its own; `stop` removes them, and tells of a write that failed. */
async function startTraffic(): Promise<{ stop: () => Promise<void> }> {
  const orders = await shop.query<{ id: number }>(`INSERT INTO orders (total_amount) SELECT 1 FROM generate_series(1, ${writerCount}) RETURNING id`);
  const ids = orders.map(({ id }) => id);
  const end = new AbortController();
  const writers = ids.map(async (id) => {
    for (let cents = 0; !end.signal.aborted; cents = (cents + 1) % 100_000) {
      await shop.query('UPDATE orders SET total_amount = $1::numeric / 100 WHERE id = $2', [cents, id]);
      await pause(writePauseMs);
    }
  });
  const ended = Promise.all(writers);
  ended.catch(() => undefined); // told by stop
  return {
    stop: async () => {
      end.abort();
      await ended;
      await shop.query('DELETE FROM orders WHERE id = ANY ($1::int[])', [ids]);
    },
  };
}

/** Enough orders for every partition of theirs. */
async function newOrdersArrive(): Promise<void> {
  const orders = await shop.query<{ id: number }>('INSERT INTO orders (total_amount) SELECT 1 FROM generate_series(1, 30) RETURNING id');
  const ids = orders.map(({ id }) => id);
  try {
    const rows = ids.map((id) => stack.keys.row('order', String(id)));
    await until('orders written after the hold', async () => (await stack.redis.strings(rows)).every((row) => row !== null));
  } finally {
    await shop.query('DELETE FROM orders WHERE id = ANY ($1::int[])', [ids]);
  }
}
