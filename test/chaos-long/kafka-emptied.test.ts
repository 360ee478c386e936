/**
 * Goal: a Kafka that has lost every topic, those of Connect among them, is filled again from the source, unasked.
 * Method: all topics, then those of Connect alone, are deleted under load. A Connect whose own topics are gone answers as if nothing were, and hangs or refuses: it
 * must be killed, and its connector, which nobody remembers, registered anew.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { tables } from '../../src/domain/tables/registry.ts';
import { assertRecovered, consumersOf, landed, processOf } from '../faults.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

async function statesOf(): Promise<(string | undefined)[]> {
  const states = await stack.redis.hash(stack.keys.status);
  return tables.map(({ name }) => states[name]);
}

async function loseTopics(t: TestContext, isLost: (topic: string) => boolean): Promise<void> {
  const [connect, consumers] = [await processOf(stack, 'connect'), await consumersOf(stack)];
  const admin = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-topics', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const topics = (await admin.listTopics()).filter(isLost);
  assert.ok(topics.includes('_connect_configs'), topics.join(', '));
  await admin.deleteTopics({ topics });
  await admin.disconnect();
  await until('Connect is killed', async () => (await processOf(stack, 'connect')).restarts > connect.restarts, 240_000, 500);
  landed(t, `${topics.length} topics deleted: Connect, which hung or refused, was started again`);
  const all = async (state: string): Promise<boolean> => (await statesOf()).every((one) => one === state);
  await until('every table is being read again', () => all('rebuilding'), 120_000);
  await until('every table runs again', () => all('running'), 300_000, 500);
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers.map(({ pid }) => pid));
}

test('a Kafka that has lost all its topics is filled again from the source', (t) => loseTopics(t, (topic) => !topic.startsWith('__')));

test('a connector that is forgotten with the topics of Connect alone begins anew, and what it skips is read from the source', (t) => loseTopics(t, (topic) => topic.startsWith('_connect')));
