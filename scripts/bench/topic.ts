/** Fills a change topic the way Debezium does: keyed, uncompressed, in transactions of a few hundred records a partition. */
import { CompressionTypes, Partitioners } from 'kafkajs';
import { createClient, type KafkaOptions } from '../../src/adapters/kafka-client.ts';
import type { Lab } from './lab.ts';
import { orderEvents, type OrderRecord } from './order-events.ts';
import type { Workload } from './runs.ts';

/** About what one `producer.override.batch.size` of the connector holds, over four partitions. */
const recordsPerTransaction = 1200;

export interface Filled {
  events: number;
  records: number;
  bytes: number;
}

/** Writes the next `events` events of the source (tombstones are no events). */
export async function fillTopic(kafka: KafkaOptions, topic: string, source: Iterator<OrderRecord>, events: number): Promise<Filled> {
  const producer = createClient(kafka).producer({
    transactionalId: `bench-${topic}-${process.pid}`,
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner, // murmur2 of the key, as Kafka Connect
  });
  const filled: Filled = { events: 0, records: 0, bytes: 0 };
  await producer.connect();
  try {
    while (filled.events < events) {
      const messages = take(source, filled, events);
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages, acks: -1, compression: CompressionTypes.None });
      await transaction.commit();
    }
  } finally {
    await producer.disconnect();
  }
  return filled;
}

function take(source: Iterator<OrderRecord>, filled: Filled, events: number): OrderRecord[] {
  const messages: OrderRecord[] = [];
  let last: OrderRecord | undefined;
  while (messages.length < recordsPerTransaction && filled.events < events) {
    last = source.next().value as OrderRecord;
    messages.push(last);
    filled.records += 1;
    filled.bytes += last.key.length + (last.value?.length ?? 0);
    if (last.value !== null) filled.events += 1;
  }
  return messages;
}

/** `firstMs`: when the first event happened; a day that is past unless windows are kept. */
export async function fillOrders(lab: Lab, size: { warmUp: number; events: number }, say: (text: string) => void, firstMs?: number): Promise<Workload> {
  const topic = `${lab.settings.TOPIC_PREFIX}.public.orders`;
  const filled = await fillTopic(lab.kafka, topic, orderEvents(firstMs), size.events);
  say(`filled ${topic}: ${filled.events} events in ${filled.records} records, ${Math.round(filled.bytes / filled.events)} B an event`);
  return { ...size, topic, topicPrefix: lab.settings.TOPIC_PREFIX };
}
