/** Writes to Kafka, acknowledged by all replicas; a record may be stored twice when an acknowledgement is lost. */
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface OutgoingRecord {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
}

export type KafkaProducer = ReturnType<typeof createKafkaProducer>;

export function createKafkaProducer(options: KafkaOptions) {
  const producer = createClient(options).producer({ allowAutoTopicCreation: false });
  let connected: Promise<void> | undefined;
  return {
    /** Resolves when the records are stored. Safe to repeat: readers tell doubles by the origin headers. */
    send: async (topic: string, messages: OutgoingRecord[]): Promise<void> => {
      try {
        connected ??= producer.connect();
        await connected;
        await producer.send({ topic, acks: -1, messages });
      } catch (error) {
        connected = undefined;
        throw translateKafkaError(error);
      }
    },
    close: () => producer.disconnect(),
  };
}
