/**
 * Goal: a change topic that is given more partitions behind the pipeline's back is applied no further, since its keys have moved between
 * partitions; made anew as it was, its table is read again unasked. Method: as an operator would, by Kafka's own command.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { tableTopic } from '../../src/domain/topics.ts';
import { assertRecovered, consumersOf, landed, untilApplying } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('a topic that is given more partitions halts its table in the same processes; deleted, it is made anew and read again', async (t) => {
  const topic = tableTopic(stack.settings.TOPIC_PREFIX, 'products');
  const { TOPIC_PARTITIONS: count, KAFKA_PORT: port } = stack.settings;
  const pids = (await consumersOf(stack)).map(({ pid }) => pid);
  const admin = new Kafka({ brokers: [`127.0.0.1:${port}`], clientId: 'test-topic', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await admin.createPartitions({ topicPartitions: [{ topic, count: count + 1 }] });
    const halted = await until('the table is halted', async () => (await stack.status()).halted['products'], 180_000, 1000);
    assert.match(halted, new RegExp(`has ${count + 1} partitions, the replica was made from ${count}`));
    landed(t, `${topic} given a partition more, seen by the consumers that ran`);
    await untilApplying(stack);
    await admin.deleteTopics({ topics: [topic] });
  } finally {
    await admin.disconnect();
  }
  await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['products'] === 'running', 300_000);
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), pids);
});
