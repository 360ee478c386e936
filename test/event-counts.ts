/** Whether the event counters tell what stands in the change topics: each event once, whatever was delivered twice. */
import assert from 'node:assert/strict';
import { readTopic } from '../src/adapters/kafka-reader.ts';
import { names } from '../src/domain/keys.ts';
import { tables } from '../src/domain/tables/registry.ts';
import { tableTopic } from '../src/domain/topics.ts';
import { readLag } from '../src/replica/lag.ts';
import { until, withoutGenerator, type TestStack } from './stack.ts';

/** Table → operation → events. */
type Counts = Record<string, Record<string, number>>;

const operations = ['c', 'u', 'd', 'r'];

/** Begins to count. The answer, called when the stack is well again, fails when the counters have not moved by what was written to the topics since. */
export async function watchEventCounts(stack: TestStack): Promise<() => Promise<void>> {
  const { redis, kafka, keys, settings } = stack;
  const topics = tables.map(({ name }) => ({ name, topic: tableTopic(settings.TOPIC_PREFIX, name) }));

  const counted = async (): Promise<Counts> => {
    const all: Counts = {};
    for (const { name } of topics) {
      const stats = await redis.hash(keys.of(names.stats(name)));
      all[name] = Object.fromEntries(operations.map((op) => [op, Number(stats[op] ?? 0)]));
    }
    return all;
  };

  /** Everything that was committed is applied, and nothing is written while `look` looks. */
  const quietly = <T>(look: () => Promise<T>): Promise<T> =>
    withoutGenerator(stack, async () => {
      const [mark] = await stack.db.query<{ id: string }>("INSERT INTO orders (total_amount, status) VALUES (1.00, 'set aside') RETURNING id::text");
      await until('the last order is applied', async () => (await redis.strings([keys.row('order', mark!.id)]))[0] ?? undefined);
      await until('all is applied', async () => (await readLag({ admin: kafka, redis, keys, topics: topics.map(({ topic }) => topic) })).every(({ events }) => events === 0));
      return look();
    });

  const written = async (topic: string, from: ReadonlyMap<number, bigint>): Promise<Record<string, number>> => {
    const found = Object.fromEntries(operations.map((op) => [op, 0]));
    await readTopic({ brokers: [`127.0.0.1:${settings.KAFKA_PORT}`], clientId: 'test' }, {
      topic,
      from,
      each: async (records) => {
        for (const { value } of records) {
          if (value === null) continue;
          const { op } = JSON.parse(value.toString()) as { op: string };
          found[op] = (found[op] ?? 0) + 1;
        }
      },
    });
    return found;
  };

  const start = await quietly(async () => ({
    counts: await counted(),
    ends: await Promise.all(topics.map(async ({ topic }) => new Map((await kafka.offsets(topic)).map(({ partition, high }) => [partition, high])))),
  }));
  return () =>
    quietly(async () => {
      const now = await counted();
      for (const [i, { name, topic }] of topics.entries()) {
        const moved = Object.fromEntries(operations.map((op) => [op, now[name]![op]! - start.counts[name]![op]!]));
        assert.deepEqual(moved, await written(topic, start.ends[i]!), `events of ${name}`);
      }
    });
}
