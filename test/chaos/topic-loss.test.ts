/**
 * Goal: changes that are deleted from a topic before anyone has read them are read from the source instead, unasked.
 * Method: while every consumer is frozen, records past the fence are deleted from the orders topic; then the topic itself is
 * deleted and made anew. The table must say rebuilding, then running, and the replica must be exact.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { partitionName, tableTopic } from '../../src/domain/topics.ts';
import { assertRecovered, consumersOf, landed, processOf, seededChoices } from '../faults.ts';
import { until, useStack, withoutGenerator, type TestStack } from '../stack.ts';

let stack: TestStack;
let topic: string;
before(async () => {
  stack = await useStack();
  topic = tableTopic(stack.settings.TOPIC_PREFIX, 'orders');
});
after(() => stack.stop());

const fenceOf = async (partition: number): Promise<bigint> => BigInt((await stack.redis.strings([stack.keys.offset(topic, partition)]))[0] ?? 0);

/** Freezes processes while `work` is done; then the table must go through rebuilding to running, with the same consumers. */
async function breakTopic(t: TestContext, frozen: number[], work: () => Promise<string>): Promise<void> {
  const pids = (await consumersOf(stack)).map(({ pid }) => pid);
  const stateOf = async (): Promise<string | undefined> => (await stack.redis.hash(stack.keys.status))['orders'];
  assert.equal(await stateOf(), 'running');
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  try {
    landed(t, await work());
  } finally {
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
  }
  await until('orders is rebuilding', async () => (await stateOf()) === 'rebuilding');
  await until('orders is running again', async () => (await stateOf()) === 'running', 180_000);
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), pids);
}

test('records deleted past the fence: the table is read again from the source', async (t) => {
  const partition = seededChoices('topic-loss').between(0, stack.settings.TOPIC_PARTITIONS - 1);
  const consumers = (await consumersOf(stack)).map(({ pid }) => pid);
  await breakTopic(t, consumers, async () => {
    const fence = await fenceOf(partition);
    const waitFor = (least: bigint): Promise<bigint> =>
      until('changes wait past the fence', async () => {
        const end = (await stack.kafka.offsets(topic)).find((one) => one.partition === partition)!.high;
        return end >= least && end;
      });
    const answered = await waitFor(fence + 1n); // a fetch that was under way when they froze brings this much
    const high = await waitFor(answered + 10n);
    await stack.kafka.deleteRecords(topic, partition, high);
    const low = (await stack.kafka.offsets(topic)).find((one) => one.partition === partition)!.low;
    assert.ok(low > answered, 'the log begins after all that was sent');
    return `${partitionName({ topic, partition })} cut: ${low - answered} offsets were never read`;
  });
});

test('records deleted up to the end of their transaction: the same, although only that is left to be fetched', async (t) => {
  const consumers = (await consumersOf(stack)).map(({ pid }) => pid);
  const highs = async (): Promise<string[]> => (await stack.kafka.offsets(topic)).map(({ high }) => String(high));
  /** In every partition, once the transaction has ended there. */
  const placeOrders = async (): Promise<void> => {
    let before = await highs();
    await stack.db.query("INSERT INTO orders (total_amount, status) SELECT 1.00, 'set aside' FROM generate_series(1, 60)");
    await until('they are in every partition', async () => (await highs()).every((high, i) => high !== before[i]));
    await until('nothing more comes', async () => {
      before = await highs();
      await delay(1000);
      return isDeepStrictEqual(before, await highs());
    });
  };
  await withoutGenerator(stack, () =>
    breakTopic(t, consumers, async () => {
      await placeOrders(); // a fetch that was under way when they froze brings these
      await placeOrders();
      const bounds = await stack.kafka.offsets(topic);
      for (const { partition, high } of bounds) await stack.kafka.deleteRecords(topic, partition, high - 1n);
      assert.ok((await stack.kafka.offsets(topic)).every(({ low, high }) => low === high - 1n));
      return `all of ${topic} was deleted but its last offsets`;
    }),
  );
});

/** Deletes the topic and waits until the pipeline has made it anew by itself. */
async function loseTopic(): Promise<string> {
  const before = await stack.kafka.offsets(topic);
  const admin = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-topic', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  const bounds = await until('the topic is made anew', async () => {
    const now = await stack.kafka.offsets(topic).catch(() => []);
    return now.length > 0 && now.every(({ partition, high }) => high < before[partition]!.high) && now;
  });
  assert.equal(bounds.length, stack.settings.TOPIC_PARTITIONS, 'with as many partitions');
  return `${topic} deleted, and made anew by the pipeline`;
}

test('a topic that is deleted while nobody reads or writes is made anew, and its table is read again from the source', async (t) => {
  const connect = await processOf(stack, 'connect');
  const consumers = (await consumersOf(stack)).map(({ pid }) => pid);
  await breakTopic(t, [...consumers, connect.pid], async () => {
    const fault = await loseTopic();
    assert.ok((await stack.kafka.offsets(topic)).every(({ high }) => high === 0n), 'the new topic is empty');
    assert.ok((await fenceOf(0)) > 0n, 'the fence is of the old one');
    return fault;
  });
});

test('a topic that is deleted under load is made anew, and its table is read again from the source', (t) => breakTopic(t, [], loseTopic));
