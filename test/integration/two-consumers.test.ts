/**
 * Goal: several consumers share the partitions; the loss of one stops nobody else, and one that returns has its own back.
 * Method: consumers are added to the stack's own under load, killed, started again and stopped; every fence is watched
 * meanwhile, and `sluice verify` compares everything after each.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { KafkaConsumer } from '../../src/adapters/kafka-consumer.ts';
import { access } from '../../src/access.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import { tableTopic, type PartitionRef } from '../../src/domain/topics.ts';
import { groupMembers, watchFences, type GroupMember } from '../group.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

const start = (instance?: string, extra: Record<string, string> = {}) => stack.startProcess('cdc-consumer', { ...(instance !== undefined && { KAFKA_INSTANCE_ID: instance }), ...extra });
/** Long enough for a process to start on a machine with a lot to do. */
const sessionMs = 15_000;
const claims = (log: string): number => log.split('partitions claimed').length - 1;
const isOf = (instance: string) => (member: GroupMember): boolean => member.memberId.startsWith(`${instance}-`);

/** The members of the group once there are `count` of them, and all have partitions. */
const shared = (count: number): Promise<GroupMember[]> =>
  until(`${count} members share the partitions`, async () => {
    const members = await groupMembers(stack);
    return members.length === count && members.every(({ partitions }) => partitions.length > 0) && members;
  });

async function untilAllMove(members: GroupMember[]): Promise<void> {
  const watch = watchFences(stack);
  const fromMs = performance.now();
  for (const { memberId, partitions } of members) await until(`partitions of ${memberId} move`, async () => watch.firstMoveMs(partitions, fromMs));
  await watch.stop();
}

test('kafkajs is the version whose inside the static membership knows', () => {
  const installed = JSON.parse(readFileSync('node_modules/kafkajs/package.json', 'utf8')) as { version: string };
  const wanted = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
  assert.deepEqual([installed.version, wanted.dependencies['kafkajs']], ['2.2.4', '2.2.4']);
});

test('a killed consumer that returns within the session timeout has its partitions back, and the other is not stopped', async (t) => {
  const first = start('second', { KAFKA_SESSION_TIMEOUT_MS: String(sessionMs) });
  const members = await shared(2);
  const lost = members.find(isOf('second'))!.partitions;
  const kept = members.find(isOf('cdc-consumer'))!.partitions;
  await untilAllMove(members);
  const claimedBefore = claims(stack.logOf('cdc-consumer'));
  const watch = watchFences(stack);

  const killedMs = performance.now();
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const second = start('second', { KAFKA_SESSION_TIMEOUT_MS: String(sessionMs) });
  const movedMs = await until('the partitions of the killed one move again', async () => watch.firstMoveMs(lost, killedMs + 200));
  const after = (await shared(2)).find(isOf('second'))!;
  assert.deepEqual(after.partitions.toSorted(), lost.toSorted());
  assert.equal(claims(stack.logOf('cdc-consumer')), claimedBefore, 'no rebalance: the other claimed nothing anew');
  assert.ok(watch.longestStillMs(kept, killedMs, movedMs) < sessionMs / 3, `the other stood still for ${watch.longestStillMs(kept, killedMs, movedMs)} ms`);
  t.diagnostic(`the other stood still for ${Math.round(watch.longestStillMs(kept, killedMs, movedMs))} ms at most, the killed one's partitions for ${Math.round(movedMs - killedMs)} ms`);
  await watch.stop();
  await assertVerified(stack);

  second.child.kill('SIGTERM');
  await once(second.child, 'exit');
  const [left] = await shared(1); // it does not leave the group by itself: its session runs out
  assert.equal(left!.partitions.length, lost.length + kept.length);
});

test('a third consumer joins under load and leaves again', async () => {
  const second = start('second');
  await shared(2);
  const third = start();
  await untilAllMove(await shared(3));
  await assertVerified(stack);

  third.child.kill('SIGTERM');
  await once(third.child, 'exit');
  await untilAllMove(await shared(2));
  await assertVerified(stack);
  second.child.kill('SIGTERM');
  await once(second.child, 'exit');
  await untilAllMove(await shared(1));
});

test('a static member that returns with one more topic is given that topic too', async () => {
  const [first = '', second = ''] = tables.map(({ name }) => tableTopic(stack.settings.TOPIC_PREFIX, name));
  const topicsAssigned = async (topics: string[]): Promise<string[]> => {
    const ignored = { claim: async () => [], process: async () => true, crashed: () => undefined };
    const consumer = new KafkaConsumer({ ...access.kafka(stack.settings), clientId: 'test', group: 'test-one-more-topic', instanceId: 'returns', topics, sessionTimeoutMs: 6000, concurrency: 1 }, ignored);
    await consumer.start();
    const assigned = (): string[] => [...new Set(consumer.assigned.map(({ topic }) => topic))].toSorted();
    await until('its topics are assigned', async () => assigned().length === topics.length && consumer.assigned.length === topics.length * stack.settings.TOPIC_PARTITIONS);
    await consumer.stop();
    return assigned();
  };
  assert.deepEqual(await topicsAssigned([first]), [first]);
  assert.deepEqual(await topicsAssigned([first, second]), [first, second].toSorted());
});

test('a static member whose topic is made anew with fewer partitions reads on, whatever it is given of those that are gone', async () => {
  const topic = 'test-fewer-partitions';
  const kafka = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-fewer', logLevel: logLevel.NOTHING });
  const [admin, producer] = [kafka.admin(), kafka.producer()];
  await Promise.all([admin.connect(), producer.connect()]);
  const make = async (numPartitions: number): Promise<unknown> => admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions }] });
  /** A session that reads partitions 0 and 1 for two seconds, so that their offsets are written to the group, and of 2 nothing. */
  const assigned = async (): Promise<number> => {
    let crash: Error | undefined;
    let read = 0;
    await producer.send({ topic, messages: [{ partition: 0, value: 'one more' }] });
    const claim = async (refs: PartitionRef[]) => refs.filter(({ partition }) => partition < 2).map((ref) => ({ ...ref, offset: 0n }));
    const crashed = (error: Error): void => void (crash = error);
    const options = { ...access.kafka(stack.settings), clientId: 'test', group: topic, instanceId: 'returns', topics: [topic], sessionTimeoutMs: 30_000, concurrency: 1 };
    const consumer = new KafkaConsumer(options, {
      claim,
      process: async ({ records }) => {
        read = records.length;
        return true;
      },
      crashed,
    });
    await consumer.start();
    await until('partitions are assigned', async () => consumer.assigned.length > 0);
    await delay(2500);
    await consumer.stop();
    assert.equal(crash, undefined);
    assert.ok(read > 0);
    return consumer.assigned.length;
  };
  await make(3);
  assert.equal(await assigned(), 3);
  await admin.deleteTopics({ topics: [topic] });
  await until('it is gone', async () => !(await admin.listTopics()).includes(topic));
  await make(2);
  assert.deepEqual([await assigned(), await assigned()], [3, 3]);
  await admin.deleteTopics({ topics: [topic] });
  await Promise.all([admin.disconnect(), producer.disconnect()]);
});

test('of two processes with one instance id the earlier ends, naming the setting', async () => {
  const earlier = start('twin');
  await shared(2);
  const later = start('twin');
  const [code] = (await once(earlier.child, 'close', { signal: AbortSignal.timeout(60_000) })) as [number];
  assert.equal(code, 1);
  assert.match(earlier.log(), /Another consumer has joined the group under the same KAFKA_INSTANCE_ID/);
  await untilAllMove(await shared(2));
  later.child.kill('SIGTERM');
  await once(later.child, 'exit');
  await untilAllMove(await shared(1));
  await assertVerified(stack);
});
