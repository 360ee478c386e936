/** What a transaction that has not ended holds up. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

/** Within this after joining, the broker has answered for every partition: it waits for records for a quarter of a second. */
const lookMs = 2000;

/** When the oldest record was written that readers of committed records wait at, in ms since 1970; null when they wait at none. Topics that do not exist have none. */
export async function oldestUncommittedMs(options: KafkaOptions, topics: string[]): Promise<number | null> {
  const client = createClient(options);
  const admin = client.admin();
  const groupId = `sluice-uncommitted-${randomUUID()}`;
  const consumer = client.consumer({ groupId, readUncommitted: true, allowAutoTopicCreation: false, maxWaitTimeInMs: 250, retry: { retries: 5, restartOnFailure: async () => false } });
  let oldest: number | null = null;
  try {
    await Promise.all([admin.connect(), consumer.connect()]);
    const existing = (await admin.listTopics()).filter((topic) => topics.includes(topic));
    if (existing.length === 0) return null;
    const committed = (await Promise.all(existing.map(async (topic) => (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({ topic, partition, offset: high }))))).flat();
    const joined = new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.GROUP_JOIN, () => {
        for (const end of committed) consumer.seek(end);
        resolve();
      });
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    });
    await consumer.subscribe({ topics: existing });
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => void (oldest = Math.min(oldest ?? Infinity, Number(message.timestamp))) });
    await joined;
    await wait(lookMs);
    await consumer.disconnect();
    await admin.deleteGroups([groupId]);
    return oldest;
  } catch (error) {
    throw translateKafkaError(error);
  } finally {
    await Promise.all([consumer.disconnect(), admin.disconnect()]);
  }
}
