/**
 * Goal: a connector that says RUNNING while nothing comes of it any more is found, restarted, and nothing is missing.
 * Method: its replication session goes through a proxy that from one moment on swallows both directions and keeps the
 * connections open, as a network path does that died without a word. Everything else answers.
 */
import assert from 'node:assert/strict';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connectClientOf, connectorConfig, connectorName } from '../../src/stack/connect.ts';
import type { SupervisorState } from '../../src/workflows/contract.ts';
import { applied, assertRecovered, consumersOf, landed, untilApplying } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let proxy: Server;
/** Sessions that replicate, each as its two sides. */
const replicating = new Set<[Socket, Socket]>();

before(async () => {
  stack = await useStack();
  proxy = createServer((client) => {
    const server = connect(stack.settings.POSTGRES_PORT, '127.0.0.1');
    const pair: [Socket, Socket] = [client, server];
    client.on('data', (bytes) => bytes.includes('replication\0database') && replicating.add(pair));
    client.pipe(server);
    server.pipe(client);
    for (const side of pair) side.on('error', () => pair.forEach((one) => one.destroy())).on('close', () => replicating.delete(pair));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
after(async () => {
  await connectTo(stack.settings.POSTGRES_PORT);
  for (const side of [...replicating].flat()) side.destroy();
  proxy.close();
  await stack.stop();
});

const connectTo = (port: number): Promise<unknown> => connectClientOf(stack.settings).applyConnector(connectorName, connectorConfig({ ...stack.settings, POSTGRES_PORT: port }));

interface Report {
  state: string;
  supervisor: SupervisorState | null;
}
const report = async (): Promise<Report> => JSON.parse((await stack.sluice('connector', 'status', '--json')).stdout || '{"state":"UNKNOWN","supervisor":null}') as Report;

test('a connector that says RUNNING and is silent is restarted, and what it owed arrives', async (t) => {
  const pids = async (): Promise<number[]> => (await consumersOf(stack)).map(({ pid }) => pid);
  const before = await pids();
  await connectTo((proxy.address() as AddressInfo).port);
  const session = await until('the connector replicates through the proxy', async () => [...replicating][0], 120_000);
  await untilApplying(stack);
  for (const side of session) side.unpipe().pause();
  const deafMs = performance.now();
  let last = await applied(stack);
  await until('nothing is applied any more', async () => last === (last = await applied(stack)), 60_000, 3000);
  assert.equal((await report()).state, 'RUNNING', 'its own word');
  landed(t, 'the connector is silent and says RUNNING');

  const seen = await until('the supervisor says so', async () => {
    const { supervisor } = await report();
    return supervisor?.last.startsWith('silent') ? supervisor : undefined;
  });
  assert.equal(seen.failures, 1, 'restarted once');
  await untilApplying(stack);
  t.diagnostic(`changes are applied again ${((performance.now() - deafMs) / 1000).toFixed(1)} s after it fell silent`);
  assert.ok(!session.some((side) => side.destroyed) || replicating.size > 0, 'by another session');
  await connectTo(stack.settings.POSTGRES_PORT);
  await assertRecovered(stack);
  assert.deepEqual(await pids(), before);
});
