/** Transactions that have not ended hold up whoever reads what is committed: where that is so, and how one is ended. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { partitionName, type PartitionRef } from '../domain/topics.ts';
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface HeldUp extends PartitionRef {
  /** Of the first record that readers of committed records do not pass. */
  offset: string;
  /** When it was written, in ms since 1970. */
  writtenMs: number;
}

/** Within this after joining, the broker has answered for every partition: it waits for records for a quarter of a second. */
const lookMs = 2000;

/** The partitions of existing topics in which something stands behind what is committed: for a moment most of those that are written to. */
export async function findHeldUp(options: KafkaOptions, topics: string[]): Promise<HeldUp[]> {
  const client = createClient(options);
  const admin = client.admin();
  const groupId = `sluice-held-up-${randomUUID()}`;
  const consumer = client.consumer({ groupId, readUncommitted: true, allowAutoTopicCreation: false, maxWaitTimeInMs: 250, maxBytesPerPartition: 64 * 1024, retry: { retries: 5, restartOnFailure: async () => false } });
  const found = new Map<string, HeldUp>();
  try {
    await Promise.all([admin.connect(), consumer.connect()]);
    const existing = (await admin.listTopics()).filter((topic) => topics.includes(topic));
    if (existing.length === 0) return [];
    const ends = (await Promise.all(existing.map(async (topic) => (await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => ({ topic, partition, offset: high }))))).flat(); // `high` is where committed records end
    const joined = new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.GROUP_JOIN, () => {
        for (const end of ends) consumer.seek(end);
        resolve();
      });
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    });
    await consumer.subscribe({ topics: existing });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        const [first] = messages;
        if (!first) return;
        found.set(partitionName({ topic, partition }), { topic, partition, offset: first.offset, writtenMs: Number(first.timestamp) });
        consumer.pause([{ topic, partitions: [partition] }]);
      },
    });
    await joined;
    await wait(lookMs);
    await consumer.disconnect();
    await admin.deleteGroups([groupId]);
    return [...found.values()];
  } catch (error) {
    throw translateKafkaError(error);
  } finally {
    await Promise.all([consumer.disconnect(), admin.disconnect()]);
  }
}

/**
 * Writes an empty record with this key into each partition, in one transaction of the producer that bears this transactional id, and commits it.
 * Ends what Kafka has left open there of the same id: as that producer's own next transaction would, which Kafka takes to be the same one. One that
 * Kafka knows to be open is aborted before; a producer that lives is shut out from now on.
 */
export async function writeTransaction(options: KafkaOptions, transactionalId: string, partitions: PartitionRef[], key: string): Promise<void> {
  const producer = createClient(options).producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
  try {
    await producer.connect();
    const transaction = await producer.transaction();
    try {
      for (const { topic, partition } of partitions) await transaction.send({ topic, messages: [{ partition, key, value: null }] });
      await transaction.commit();
    } catch (error) {
      if (transaction.isActive()) await transaction.abort();
      throw error;
    }
  } catch (error) {
    throw translateKafkaError(error);
  } finally {
    await producer.disconnect();
  }
}
