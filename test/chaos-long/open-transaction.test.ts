/**
 * Goal: a transaction whose end Kafka has left out holds up neither Connect, which reads what is committed in its offsets before it starts, nor what is
 * behind it in a change topic; and nothing needs to be read again for it.
 * Method: while Connect is away its producer writes to its offsets and to the topic of orders, in a transaction of which the coordinator is told nothing: as
 * after the end that was left out, it knows of none that is open, and its time limit of a second does not apply. Brokers that check this are told not to.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import { tables } from '../../src/domain/tables/registry.ts';
import { connectOffsetsTopic, tableTopic, transactionalId } from '../../src/domain/topics.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import { connectorName } from '../../src/stack/connector.ts';
import { assertRecovered, consumersOf, landed, takeAway } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const Broker = createRequire(import.meta.url)('kafkajs/src/broker/index.js') as { prototype: { addPartitionsToTxn: (...args: unknown[]) => Promise<unknown> } };

async function uncheck(kafka: Kafka): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const configEntries = [{ name: 'transaction.partition.verification.enable', value: 'false' }];
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: kafkajs.ConfigResourceTypes.BROKER, name: '1', configEntries }] });
  await admin.disconnect();
}

test('a transaction that was left open is ended: Connect starts, what was behind it is applied, no table is read again', async (t) => {
  const consumers = await consumersOf(stack);
  const generations = () => Promise.all(tables.map(({ name }) => readTableState(stack.redis, stack.keys, name).then(({ generation }) => generation)));
  const earlier = await generations();
  const orders = tableTopic(stack.settings.TOPIC_PREFIX, 'orders');
  const kafka = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-open', logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ transactionalId: transactionalId(connectorName), transactionTimeout: 1000, idempotent: true, maxInFlightRequests: 1 });
  const open = async (): Promise<void> => {
    await uncheck(kafka);
    await producer.connect();
    const transaction = await producer.transaction();
    const { addPartitionsToTxn } = Broker.prototype;
    Broker.prototype.addPartitionsToTxn = async () => undefined;
    try {
      for (const topic of [connectOffsetsTopic, orders]) await transaction.send({ topic, messages: [0, 1, 2, 3].map((partition) => ({ partition, key: '{"id":0}', value: null })) });
    } finally {
      Broker.prototype.addPartitionsToTxn = addPartitionsToTxn;
    }
    landed(t, 'a transaction that Kafka does not know was left open in the offsets of Connect and in the topic of orders');
  };
  await takeAway(t, stack, { server: 'connect', way: 'kill', awayMs: 5000, meanwhile: open });
  const ended = (topic: string): boolean => new RegExp(`had left a transaction open, it is ended: .*${topic.replaceAll('.', '\\.')}-0@`).test(stack.logOf('worker'));
  await until('it is ended in both', async () => ended(connectOffsetsTopic) && ended(orders), 30_000);
  await producer.disconnect();
  await assertRecovered(stack);
  assert.deepEqual(await generations(), earlier, 'no table is read again');
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers.map(({ pid }) => pid));
});
