/** Writes to Kafka, acknowledged by all replicas; a record may be stored twice when an acknowledgement is lost. */
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface OutgoingRecord {
  /** Chosen by the key when it is not given. */
  partition?: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
}

export type KafkaProducer = ReturnType<typeof createKafkaProducer>;

export function createKafkaProducer(options: KafkaOptions) {
  const producer = createClient(options).producer({ allowAutoTopicCreation: false });
  let connected: Promise<void> | undefined;
  return {
    /**
     * Resolves when the records are stored, with the offset of the first one in each partition; those of a partition follow each
     * other. Safe to repeat: readers tell doubles by the origin headers.
     */
    send: async (topic: string, messages: OutgoingRecord[]): Promise<Map<number, bigint>> => {
      try {
        connected ??= producer.connect();
        await connected;
        const stored = await producer.send({ topic, acks: -1, messages });
        return new Map(stored.map(({ partition, baseOffset }) => [partition, BigInt(baseOffset ?? -1)]));
      } catch (error) {
        connected = undefined;
        throw translateKafkaError(error);
      }
    },
    close: () => producer.disconnect(),
  };
}
