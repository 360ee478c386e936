/** Topics, offsets and the identity of a Kafka cluster. With kafka-consumer.ts and kafka-producer.ts the only importer of kafkajs. */
import kafkajs, { type Admin, type DescribeConfigResponse, type PartitionMetadata } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';
import { createClient, translateKafkaError, type KafkaOptions } from './kafka-client.ts';

const { ConfigResourceTypes, ConfigSource } = kafkajs;

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

export interface TopicDescription {
  topic: string;
  partitions: number;
  /** Of the partition that has fewest. */
  replicas: number;
  /** Partitions without a leader. */
  leaderless: number;
  config: Record<string, string>;
}

export interface ClusterDescription {
  brokers: number;
  topics: TopicDescription[];
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

  const makeMissing = async (specs: TopicSpec[]): Promise<void> => {
    const existing = new Set(await admin.listTopics());
    const missing = specs.filter(({ topic }) => !existing.has(topic));
    if (missing.length === 0) return;
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map(({ topic, partitions, config = {} }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: -1, // the broker's own default
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    });
  };

  const existing = async (topics: string[]): Promise<string[]> => (await admin.listTopics()).filter((topic) => topics.includes(topic));

  return {
    /** Resolves when the broker answers a metadata request. */
    waitReady: () => run(async () => void (await admin.describeCluster())),
    clusterId: () => run(async () => (await admin.describeCluster()).clusterId),
    /** Creates what is missing and waits for leaders. A topic with another partition count is refused: keys would change partitions. */
    ensureTopics: (specs: TopicSpec[]) =>
      run(async () => {
        await makeMissing(specs);
        const { topics } = await admin.fetchTopicMetadata({ topics: specs.map(({ topic }) => topic) });
        for (const spec of specs) requirePartitions(spec, topics.find(({ name }) => name === spec.topic)?.partitions.length ?? 0);
      }),
    /** Creates what is missing; topics that are there stay as they are. */
    makeMissing: (specs: TopicSpec[]) => run(() => makeMissing(specs)),
    /** Sets one setting of existing topics. Kafka replaces all of a topic's settings at once, so the others are sent along. */
    setTopicConfig: (topics: string[], name: string, value: string) =>
      run(async () => {
        const type = ConfigResourceTypes.TOPIC;
        const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: topics.map((topic) => ({ type, name: topic })) });
        const changed = resources.flatMap((resource) => withConfig(resource, name, value).map((configEntries) => ({ type, name: resource.resourceName, configEntries })));
        if (changed.length > 0) await admin.alterConfigs({ validateOnly: false, resources: changed });
      }),
    offsets: (topic: string): Promise<PartitionBounds[]> =>
      run(async () =>
        (await admin.fetchTopicOffsets(topic))
          .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
          .sort((a, b) => a.partition - b.partition),
      ),
    ...ofGroups(admin, run),
    /** The cluster and those of the topics that exist, with their settings in force. */
    describe: (topics: string[]) => run(() => describe(admin, topics)),
    /** Removes what stands before `offset`. Safe to repeat. */
    deleteRecords: (topic: string, partition: number, offset: bigint): Promise<void> =>
      run(() => admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })),
    /** Those of them that exist. */
    existing: (topics: string[]): Promise<string[]> => run(() => existing(topics)),
    close: () => admin.disconnect(),
  };
}

async function describe(admin: Admin, wanted: string[]): Promise<ClusterDescription> {
  const [{ brokers }, names] = [await admin.describeCluster(), new Set(await admin.listTopics())];
  const topics = wanted.filter((topic) => names.has(topic));
  if (topics.length === 0) return { brokers: brokers.length, topics: [] };
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })) });
  const configs = new Map(resources.map(({ resourceName, configEntries }) => [resourceName, Object.fromEntries(configEntries.map((entry) => [entry.configName, entry.configValue]))]));
  const found = (await admin.fetchTopicMetadata({ topics })).topics;
  return { brokers: brokers.length, topics: found.map(({ name, partitions }) => ({ topic: name, ...shapeOf(partitions), config: configs.get(name) ?? {} })) };
}

/** What is asked about a consumer group. */
function ofGroups(admin: Admin, run: <T>(work: () => Promise<T>) => Promise<T>) {
  return {
    /** Next offset that a group has committed, by partition; partitions without one are left out. */
    committed: (group: string, topic: string): Promise<Map<number, bigint>> =>
      run(async () => {
        const [of] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        return new Map((of?.partitions ?? []).filter(({ offset }) => BigInt(offset) >= 0n).map(({ partition, offset }) => [partition, BigInt(offset)]));
      }),
    /** Ids of the members of a group; that of a static member is its instance id, a dash and a UUID. */
    memberIds: (group: string): Promise<string[]> => run(async () => (await admin.describeGroups([group])).groups.flatMap(({ members }) => members.map(({ memberId }) => memberId))),
  };
}

const shapeOf = (partitions: PartitionMetadata[]): Pick<TopicDescription, 'partitions' | 'replicas' | 'leaderless'> => ({
  partitions: partitions.length,
  replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
  leaderless: partitions.filter(({ leader }) => leader < 0).length,
});

function requirePartitions({ topic, partitions }: TopicSpec, found: number): void {
  if (found === partitions) return;
  throw new PipelineError(
    'partition_count_changed',
    `Topic ${topic} has ${found} partitions, the configuration says ${partitions}: set TOPIC_PARTITIONS=${found}, or reset and start anew`,
  );
}

/** A topic's own settings with `name` set, as the only element; none when it is so already. */
function withConfig({ configEntries }: DescribeConfigResponse['resources'][number], name: string, value: string): { name: string; value: string }[][] {
  const own = configEntries.filter(({ configSource }) => configSource === ConfigSource.TOPIC_CONFIG);
  if (own.some((entry) => entry.configName === name && entry.configValue === value)) return [];
  const kept = own.filter((entry) => entry.configName !== name).map((entry) => ({ name: entry.configName, value: entry.configValue }));
  return [[...kept, { name, value }]];
}
