/**
 * Static group membership (KIP-345) for kafkajs 2.2.4: its protocol encodes a group instance id, its Broker never passes one.
 * Every request that may carry the id gets it here, through the one place where a broker looks requests up.
 * Invariant: with another kafkajs inside, this throws at once instead of silently joining as a dynamic member.
 */
import { createHash } from 'node:crypto';
import { PartitionAssigners, type PartitionAssigner } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';

type MakeRequest = (payload: object) => unknown;
type LookupRequest = (apiKey: number, definition: unknown) => MakeRequest;

interface BrokerInside {
  /** Set anew at every connect, when the broker has said which versions it speaks. */
  lookupRequest: LookupRequest;
  leaveGroup: () => Promise<unknown>;
}

interface ClusterInside {
  brokerPool: { createBroker: (options: object) => BrokerInside };
}

/** Kafka's API keys of JoinGroup, Heartbeat and SyncGroup. LeaveGroup is never sent; OffsetCommit v5 has no place for the id. */
const carriesInstanceId = new Set([11, 12, 14]);

/**
 * The assigners of a static member; an assigner is what kafkajs hands its cluster to. Under static membership the member ids
 * begin with the instance ids, so round robin over sorted members gives a returning process what it had.
 * It does so whatever the process subscribes to by now, unless another assigner is chosen: so the first one is called after the
 * topics. By the second, members of other topics agree while they are replaced.
 */
export function staticMember(instanceId: string, topics: readonly string[]): PartitionAssigner[] {
  const ofTopics: PartitionAssigner = (config) => {
    const { brokerPool } = config.cluster as unknown as Partial<ClusterInside>;
    if (typeof brokerPool?.createBroker !== 'function') throw unknownDriver();
    const { createBroker } = brokerPool;
    brokerPool.createBroker = (options) => identify(createBroker(options), instanceId);
    const roundRobin = PartitionAssigners.roundRobin(config);
    return { ...roundRobin, name: `${roundRobin.name}-${createHash('sha256').update(topics.toSorted().join()).digest('hex').slice(0, 12)}` };
  };
  return [ofTopics, PartitionAssigners.roundRobin];
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
