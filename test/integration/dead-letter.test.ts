/**
 * Goal: a record that can never be applied is kept with reason and origin, its key is told as parked, and the stream goes on.
 * Method: a malformed record is written straight into a real change topic.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel, type KafkaMessage } from 'kafkajs';
import { createKafkaProducer } from '../../src/adapters/kafka-producer.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let brokers: string[];
before(async () => {
  stack = await useStack();
  brokers = [`127.0.0.1:${stack.settings.KAFKA_PORT}`];
});
after(() => stack.stop());

test('a malformed record becomes a dead letter with its origin, and later records are applied', async () => {
  const dead = async (): Promise<number> => Number((await stack.redis.hash(stack.keys.of('cdc:stats:orders')))['dead'] ?? 0);
  const before = await dead();
  const producer = createKafkaProducer({ brokers, clientId: 'test' });
  const key = Buffer.from('{"id":987654321}');
  await producer.send('ecommerce.public.orders', [{ key, value: Buffer.from('{"broken'), headers: {} }]);
  await producer.close();
  await until('the dead letter is counted', async () => (await dead()) === before + 1);
  const letter = await readLast('sluice-cdc.dlq');
  assert.equal(letter.key?.toString(), key.toString());
  assert.equal(letter.value?.toString(), '{"broken');
  assert.equal(letter.headers?.['reason']?.toString(), 'malformed_json');
  assert.equal(letter.headers?.['origin-topic']?.toString(), 'ecommerce.public.orders');
  const offset = Number(letter.headers?.['origin-offset']);
  assert.equal((await stack.redis.strings([stack.keys.parked('orders', '987654321')]))[0], '-1');
  assert.equal((await stack.redis.strings([stack.keys.parkedMark('orders', '987654321')]))[0], `${offset - 1}:${offset}:${String(letter.headers?.['origin-generation'])}`);
  assert.ok(Math.abs(Date.parse(String(letter.headers?.['at'])) - Date.now()) < 600_000);

  const [order] = await stack.db.query<{ id: number }>("INSERT INTO orders (total_amount) VALUES (3.21) RETURNING id");
  await until('a later order', async () => (await stack.redis.strings([stack.keys.row('order', String(order!.id))]))[0] ?? undefined);
  await stack.db.query(`DELETE FROM orders WHERE id = ${order!.id}`);
});

async function readLast(topic: string): Promise<KafkaMessage> {
  const consumer = new Kafka({ brokers, clientId: 'test', logLevel: logLevel.NOTHING }).consumer({ groupId: `test-${Date.now()}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let last: KafkaMessage | undefined;
  await consumer.run({ eachMessage: async ({ message }) => void (last = message) });
  try {
    return await until('a record in the dead-letter topic', async () => last);
  } finally {
    await consumer.disconnect();
  }
}
