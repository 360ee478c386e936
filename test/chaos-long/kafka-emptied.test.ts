/**
 * Goal: a Kafka that has lost every topic, those of Connect among them, is filled again from the source, unasked.
 * Method: all topics are deleted under load. A Connect whose own topics are gone answers as if nothing were, and hangs: it
 * must be killed, and its connector, which nobody remembers, registered anew.
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

async function statesOf(): Promise<Record<string, string | undefined>> {
  const states = await stack.redis.hash(stack.keys.status);
  return Object.fromEntries(tables.map(({ name }) => [name, states[name]]));
}

test('a Kafka that has lost all its topics is filled again from the source', async (t) => {
  const [connect, consumers] = [await processOf(stack, 'connect'), await consumersOf(stack)];
  const admin = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-topics', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const topics = (await admin.listTopics()).filter((topic) => !topic.startsWith('__'));
  assert.ok(topics.includes('_connect_configs') && topics.length > 8, topics.join(', '));
  await admin.deleteTopics({ topics });
  await until('every table is being read again', async () => Object.values(await statesOf()).every((state) => state === 'rebuilding'), 60_000);
  landed(t, `${topics.length} topics deleted`);
  const restarted = async (): Promise<boolean> => (await processOf(stack, 'connect')).restarts > connect.restarts;
  await until('Connect is killed', restarted, 180_000, 500);
  landed(t, 'Connect hung, and was started again');
  await until('its topics are there again', async () => (await admin.listTopics()).includes('_connect_configs'), 60_000, 500);
  await admin.disconnect();
  await until('every table runs again', async () => Object.values(await statesOf()).every((state) => state === 'running'), 300_000, 500);
  await assertRecovered(stack);
  assert.deepEqual((await consumersOf(stack)).map(({ pid }) => pid), consumers.map(({ pid }) => pid));
});
