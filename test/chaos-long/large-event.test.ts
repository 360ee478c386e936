/**
 * Goal: a change that is too large stops the connector visibly, and nothing is missing once it may pass; large ones below the limit
 * just pass. Method: a stack of its own, a text of 20 MB among small rows, a raised limit, verify.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deadLetterTopic, groups } from '../../src/domain/topics.ts';
import { assertRecovered, landed } from '../faults.ts';
import { assertVerified, runSluice, startStack, until, type TestStack } from '../stack.ts';

const raised = { EVENT_BYTES_MAX: String(64 * 1024 * 1024) };
const largeBytes = 20_000_000;

let stack: TestStack;
before(async () => {
  stack = await startStack({ SLUICE_GENERATOR: 'off', CONNECTOR_SILENT_MS: '60000' }); // Connect closes a failed task for up to 30 s before it says FAILED
});
after(() => stack.stop());

const insertOrders = async (count: number, addressBytes: number): Promise<string[]> => {
  const rows = await stack.db.query<{ id: string }>(
    "INSERT INTO orders (total_amount, shipping_address) SELECT 1, repeat('x', $1) FROM generate_series(1, $2) RETURNING id::text",
    [addressBytes, count],
  );
  return rows.map(({ id }) => id);
};
const arrived = (ids: string[]): Promise<unknown> =>
  until(`orders ${ids.join(', ')} in Redis`, async () => (await stack.redis.strings(ids.map((id) => stack.keys.row('order', id)))).every((row) => row !== null), 120_000, 500);
const taskStates = async (): Promise<string[]> => {
  const answer = await fetch(`http://127.0.0.1:${stack.settings.CONNECT_PORT}/connectors/sluice/status`);
  return ((await answer.json()) as { tasks: { state: string }[] }).tasks.map(({ state }) => state);
};

test('rows of 1 MB pass, in one transaction and changed at once', async (t) => {
  const ids = await insertOrders(30, 1_000_000);
  landed(t, '30 rows of a megabyte in one transaction');
  await arrived(ids);
  await stack.db.query('UPDATE orders SET total_amount = 2 WHERE id = ANY ($1::int[])', [ids]);
  await assertVerified(stack);
});

test('a text of 20 MB: the task fails, status ends with 3 and names table, size and setting; with a raised limit nothing is missing', async (t) => {
  await insertOrders(20, 10);
  const [large = ''] = await insertOrders(1, largeBytes);
  const behind = await insertOrders(20, 10);

  const status = await until(
    'status names the large event',
    async () => {
      const outcome = await stack.sluice('status');
      return outcome.stdout.includes('EVENT_BYTES_MAX') && outcome;
    },
    120_000,
  );
  assert.equal(status.code, 3);
  const [, bytes] = /a change of orders is (\d+) bytes, the limit EVENT_BYTES_MAX is 16777216: start again with EVENT_BYTES_MAX=/.exec(status.stdout) ?? [];
  assert.ok(Number(bytes) > largeBytes && Number(bytes) < largeBytes + 10_000, status.stdout);
  await until('the task is FAILED', async () => (await taskStates()).includes('FAILED'), 120_000, 200);
  landed(t, 'a text of 20 MB has stopped the connector');
  assert.deepEqual(await stack.redis.strings([stack.keys.row('order', large)]), [null]);

  await stack.sluice('down');
  const up = await runSluice({ ...stack.env, ...raised }, ['up']);
  assert.equal(up.code, 0, up.stdout + up.stderr);
  await arrived([large, ...behind]);
  await stack.db.query('UPDATE orders SET total_amount = 3 WHERE id = $1', [large]); // the row travels twice
  await assertRecovered(stack);
  assert.equal((await stack.status()).connector.oversizedEvent, null);
  const letters = await stack.kafka.offsets(deadLetterTopic(groups.cdc));
  assert.ok(letters.every(({ high }) => high === 0n), 'dead letters');
});
