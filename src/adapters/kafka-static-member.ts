/**
 * Static group membership (KIP-345) for kafkajs 2.2.4: its protocol encodes a group instance id, its Broker never passes one.
 * Every request that may carry the id gets it here, through the one place where a broker looks requests up.
 * Invariant: with another kafkajs inside, this throws at once instead of silently joining as a dynamic member.
 */
import { createHash } from 'node:crypto';
import { PartitionAssigners, type PartitionAssigner } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';
import { partitionName } from '../domain/topics.ts';

type MakeRequest = (payload: object) => unknown;
type LookupRequest = (apiKey: number, definition: unknown) => MakeRequest;

interface BrokerInside {
  /** Set anew at every connect, when the broker has said which versions it speaks. */
  lookupRequest: LookupRequest;
  leaveGroup: () => Promise<unknown>;
}

interface TopicOffsets {
  topic: string;
  partitions: { partition: number; offset?: string }[];
}

interface ClusterInside {
  brokerPool: { createBroker: (options: object) => BrokerInside };
  fetchTopicsOffset: (asked: TopicOffsets[]) => Promise<TopicOffsets[]>;
}

/** Kafka's API keys of JoinGroup, Heartbeat and SyncGroup. LeaveGroup is never sent; OffsetCommit v5 has no place for the id. */
const carriesInstanceId = new Set([11, 12, 14]);

/**
 * The assigner of a static member; an assigner is what kafkajs hands its cluster to. Under static membership the member ids
 * begin with the instance ids, so round robin over sorted members gives a returning process what it had.
 * It would be given that whatever it subscribes to by now; so its id names the topics too, and with others it is a new member.
 */
export const staticMember = (instanceId: string, topics: readonly string[]): PartitionAssigner => (config) => {
  const cluster = config.cluster as unknown as ClusterInside;
  const { brokerPool, fetchTopicsOffset } = cluster as Partial<ClusterInside>;
  if (typeof brokerPool?.createBroker !== 'function' || typeof fetchTopicsOffset !== 'function') throw unknownDriver();
  cluster.fetchTopicsOffset = async (asked) => withGone(asked, await fetchTopicsOffset.call(cluster, asked));
  const { createBroker } = brokerPool;
  const ofTopics = createHash('sha256').update(topics.toSorted().join()).digest('hex').slice(0, 8);
  brokerPool.createBroker = (options) => identify(createBroker(options), `${instanceId}-${ofTopics}`);
  return PartitionAssigners.roundRobin(config);
};

/** Who returns may be given a partition that its topic has no more: kafkajs would ask for its first offset, and fail for want of an answer. */
function withGone(asked: TopicOffsets[], found: TopicOffsets[]): TopicOffsets[] {
  const offsets = new Map(found.flatMap(({ topic, partitions }) => partitions.map((one) => [partitionName({ topic, partition: one.partition }), one] as const)));
  return asked.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition }) => offsets.get(partitionName({ topic, partition })) ?? { partition, offset: '0' }),
  }));
}

function identify(broker: BrokerInside, groupInstanceId: string): BrokerInside {
  let { lookupRequest } = broker;
  if (typeof lookupRequest !== 'function' || typeof broker.leaveGroup !== 'function') throw unknownDriver();
  Object.defineProperty(broker, 'lookupRequest', {
    set: (fresh: LookupRequest) => (lookupRequest = fresh),
    get: (): LookupRequest => (apiKey, definition) => {
      const make = lookupRequest(apiKey, definition);
      return carriesInstanceId.has(apiKey) ? (payload) => make({ ...payload, groupInstanceId }) : make;
    },
  });
  broker.leaveGroup = async () => undefined; // a static member stays: whoever returns under this id goes on without a rebalance
  return broker;
}

const unknownDriver = (): PipelineError =>
  new PipelineError('consumer_stuck', 'KAFKA_INSTANCE_ID needs kafkajs 2.2.4, another version is installed: run npm ci, or unset KAFKA_INSTANCE_ID');
