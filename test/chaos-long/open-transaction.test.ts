/**
 * Goal: a transaction that Kafka has left open in the offsets of Connect does not keep Connect from starting for ever.
 * Method: one is opened and not ended; Connect, which reads committed, is killed and cannot come to the end of its topics any more.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { tables } from '../../src/domain/tables/registry.ts';
import { assertRecovered, consumersOf, landed, processOf } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('a transaction that was left open in the offsets of Connect: its topics are made anew, and every table is read again from the source', async (t) => {
  const [connect, consumers] = [await processOf(stack, 'connect'), await consumersOf(stack)];
  const kafka = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-open', logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ transactionalId: 'left-open', transactionTimeout: 900_000, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic: '_connect_offsets', messages: [{ key: 'left open', value: 'left open' }] });
  process.kill(connect.pid, 'SIGKILL');
  await until('Connect comes no further than its own topics', async () => /connect was not ready within 120 s .*reading to the end of internal topics/.test(stack.logOf('supervisor')), 200_000, 500);
  landed(t, 'Connect read its own topics in vain');
  const all = async (state: string): Promise<boolean> => {
    const states = await stack.redis.hash(stack.keys.status);
    return tables.every(({ name }) => states[name] === state);
  };
  await until('every table is being read again', () => all('rebuilding'), 180_000);
  await until('every table runs again', () => all('running'), 300_000, 500);
  await producer.disconnect();
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers.map(({ pid }) => pid));
});
