/**
 * Goal: a transaction that nobody ends holds up neither Connect, which reads what is committed in its offsets before it starts, nor what is behind it in a
 * change topic; and nothing needs to be read again for it.
 * Method: while Connect is away one is opened under the connector's name, in its offsets and in the topic of orders, with a time limit of fifteen minutes.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { tables } from '../../src/domain/tables/registry.ts';
import { connectOffsetsTopic, tableTopic, transactionalId } from '../../src/domain/topics.ts';
import { connectorName } from '../../src/stack/connector.ts';
import { assertRecovered, consumersOf, landed, takeAway } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('a transaction that was left open is ended: Connect starts, what was behind it is applied, no table is read again', async (t) => {
  const consumers = await consumersOf(stack);
  const orders = tableTopic(stack.settings.TOPIC_PREFIX, 'orders');
  const kafka = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-open', logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ transactionalId: transactionalId(connectorName), transactionTimeout: 900_000, idempotent: true, maxInFlightRequests: 1 });
  const open = async (): Promise<void> => {
    await producer.connect();
    const transaction = await producer.transaction();
    for (const topic of [connectOffsetsTopic, orders]) await transaction.send({ topic, messages: [0, 1, 2, 3].map((partition) => ({ partition, key: '{"id":0}', value: null })) });
    landed(t, 'a transaction was left open in the offsets of Connect and in the topic of orders');
  };
  await takeAway(t, stack, { server: 'connect', way: 'kill', awayMs: 5000, meanwhile: open });
  const ended = (topic: string): boolean => new RegExp(`had left a transaction open, it is ended: .*${topic.replaceAll('.', '\\.')}-0@`).test(stack.logOf('worker'));
  await until('it is ended in both', async () => ended(connectOffsetsTopic) && ended(orders), 30_000);
  await producer.disconnect();
  const states = await stack.redis.hash(stack.keys.status);
  assert.deepEqual(tables.filter(({ name }) => states[name] !== 'running'), [], 'no table is read again');
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers.map(({ pid }) => pid));
});
