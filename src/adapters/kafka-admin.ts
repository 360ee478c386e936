/** Topics, offsets and the identity of a Kafka cluster. With kafka-consumer.ts and kafka-producer.ts the only importer of kafkajs. */
import { PipelineError } from '../domain/errors.ts';
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

export interface TopicSpec {
  topic: string;
  partitions: number;
  config?: Record<string, string>;
}

/** `low` is the first offset still kept, `high` the next one to be written. */
export interface PartitionBounds {
  partition: number;
  low: bigint;
  high: bigint;
}

export type KafkaAdmin = ReturnType<typeof createKafkaAdmin>;

export function createKafkaAdmin(options: KafkaOptions) {
  const admin = createClient(options).admin();
  let connected: Promise<void> | undefined;
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      connected ??= admin.connect();
      await connected;
      return await work();
    } catch (error) {
      connected = undefined;
      throw translateKafkaError(error);
    }
  };

  return {
    /** Resolves when the broker answers a metadata request. */
    waitReady: () => run(async () => void (await admin.describeCluster())),
    clusterId: () => run(async () => (await admin.describeCluster()).clusterId),
    /** Creates what is missing and waits for leaders. A topic with another partition count is refused: keys would change partitions. */
    ensureTopics: (specs: TopicSpec[]) =>
      run(async () => {
        const existing = new Set(await admin.listTopics());
        const missing = specs.filter(({ topic }) => !existing.has(topic));
        await admin.createTopics({
          waitForLeaders: true,
          topics: missing.map(({ topic, partitions, config = {} }) => ({
            topic,
            numPartitions: partitions,
            replicationFactor: 1,
            configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
          })),
        });
        const { topics } = await admin.fetchTopicMetadata({ topics: specs.map(({ topic }) => topic) });
        for (const { topic, partitions } of specs) {
          const found = topics.find(({ name }) => name === topic)?.partitions.length ?? 0;
          if (found !== partitions) {
            throw new PipelineError(
              'partition_count_changed',
              `Topic ${topic} has ${found} partitions, the configuration says ${partitions}: set TOPIC_PARTITIONS=${found}, or reset and start anew`,
            );
          }
        }
      }),
    offsets: (topic: string): Promise<PartitionBounds[]> =>
      run(async () =>
        (await admin.fetchTopicOffsets(topic))
          .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
          .sort((a, b) => a.partition - b.partition),
      ),
    close: () => admin.disconnect(),
  };
}
