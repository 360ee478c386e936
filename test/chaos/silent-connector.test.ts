/**
 * Goal: a connector that says RUNNING while nothing comes of it any more is found, restarted, and nothing is missing.
 * Method: its replication session goes through a proxy that from one moment on swallows both directions and keeps the
 * connections open, as a network path does that died without a word. Everything else answers.
 */
import assert from 'node:assert/strict';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connectClientOf, connectorConfig, connectorName } from '../../src/stack/connector.ts';
import type { SupervisorState } from '../../src/workflows/contract.ts';
import { assertRecovered, consumersOf, landed } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let proxy: Server;
/** Longer than heartbeats ever take, shorter than what the supervisor calls silence. */
const missedMs = 8000;
/** Each connection as its two sides. */
const pairs = new Set<[Socket, Socket]>();

before(async () => {
  stack = await useStack();
  proxy = createServer((client) => {
    const server = connect(stack.settings.POSTGRES_PORT, '127.0.0.1');
    const pair: [Socket, Socket] = [client, server];
    pairs.add(pair);
    client.pipe(server).pipe(client);
    for (const side of pair) side.on('error', () => pair.forEach((one) => one.destroy())).on('close', () => pairs.delete(pair));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  await connectTo(stack.settings.POSTGRES_PORT);
  for (const side of [...pairs].flat()) side.destroy();
  proxy.close();
  await stack.stop();
});

const connectTo = (port: number): Promise<unknown> => connectClientOf(stack.settings).applyConnector(connectorName, connectorConfig({ ...stack.settings, POSTGRES_PORT: port }));

/** The connection by which the connector reads its slot, once that goes through the proxy. */
async function replicating(): Promise<[Socket, Socket] | undefined> {
  const [slot] = await stack.db.query<{ port: number }>('SELECT client_port AS port FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = $1', [connectorName]);
  return [...pairs].find(([, server]) => server.localPort === slot?.port);
}

interface Report {
  state: string;
  supervisor: SupervisorState | null;
}
const report = async (): Promise<Report> => JSON.parse((await stack.sluice('connector', 'status', '--json')).stdout || '{"state":"UNKNOWN","supervisor":null}') as Report;

/** A row that is new in the source, sold once so that the generator never removes it; its key in Redis. */
async function newRow(): Promise<string> {
  const [row] = await stack.db.query<{ id: number }>(
    `WITH product AS (INSERT INTO products (name, price) VALUES ('sent into the silence', 1.00) RETURNING id)
     INSERT INTO order_items (product_id, quantity, unit_price) SELECT id, 1, 1.00 FROM product RETURNING product_id AS id`,
  );
  return stack.keys.row('product', String(row!.id));
}
const arrived = async (key: string): Promise<boolean> => (await stack.redis.strings([key]))[0] !== null;

test('a connector that says RUNNING and is silent is restarted, and what it owed arrives', async (t) => {
  const pids = async (): Promise<number[]> => (await consumersOf(stack)).map(({ pid }) => pid);
  const before = await pids();
  await connectTo((proxy.address() as AddressInfo).port);
  await until('the connector replicates through the proxy', replicating, 120_000);
  const first = await newRow();
  await until('a change arrives that way', () => arrived(first), 120_000);
  const session = (await replicating())!;
  for (const side of session) side.unpipe().pause();
  const deafMs = performance.now();
  const owed = await newRow();
  await until('heartbeats are missing', async () => {
    const { ts } = JSON.parse((await stack.redis.strings([stack.keys.heartbeat]))[0]!) as { ts: string };
    return Date.now() - Date.parse(ts) > missedMs;
  });
  const own = await connectClientOf(stack.settings).connectorStatus(connectorName);
  assert.deepEqual([own?.connector.state, ...own!.tasks.map(({ state }) => state)], ['RUNNING', 'RUNNING'], 'its own word');
  assert.ok(!(await arrived(owed)) && (await replicating()) === session);
  landed(t, 'the connector is silent and says RUNNING');

  await until('the supervisor says so', async () => (await report()).supervisor?.last.startsWith('silent'));
  await until('what it owed arrives', () => arrived(owed), 120_000);
  t.diagnostic(`restarted and flowing ${((performance.now() - deafMs) / 1000).toFixed(1)} s after it fell silent`);
  assert.notEqual(await replicating(), session);
  await connectTo(stack.settings.POSTGRES_PORT);
  await assertRecovered(stack);
  assert.deepEqual(await pids(), before);
});
