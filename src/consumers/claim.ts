/**
 * Taking ownership of partitions: raise the owner epoch first, then read the fence.
 * Invariant: after the raise no earlier owner can commit, so what is read next cannot change under us.
 */
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { decideStart } from '../domain/start-position.ts';
import type { PartitionRef } from '../domain/topics.ts';
import type { Claim } from './processor.ts';

export interface PipelineIdentity {
  /** PostgreSQL system identifier. */
  system: string;
  slot: string;
  /** Kafka cluster id. */
  cluster: string;
  /** Topic prefix. */
  prefix: string;
}

export type ClaimResult = { claim: Claim; start: bigint } | { ref: PartitionRef; halt: string };

export interface ClaimContext {
  redis: RedisStore;
  admin: Pick<KafkaAdmin, 'offsets'>;
  keys: Keys;
  /** Names what the contributions mean; stored once, compared at every commit. */
  spec: string;
  identity: PipelineIdentity;
}

/** Claims the key prefix for this pipeline. Throws PipelineError `identity_mismatch` or `spec_changed` when it is another's. */
async function claimPipeline({ redis, keys, identity, spec }: ClaimContext): Promise<void> {
  const mine = JSON.stringify(identity);
  const stored = await redis.claim(keys.identity, mine);
  if (stored !== mine) {
    throw new PipelineError(
      'identity_mismatch',
      `Redis holds the replica of another pipeline under prefix '${keys.prefix}' (stored ${stored}, this one is ${mine}): ` +
        'set another REDIS_KEY_PREFIX, or clear that replica first',
    );
  }
  const storedSpec = await redis.claimField(keys.pipeline, 'spec', spec);
  if (storedSpec !== spec) {
    throw new PipelineError('spec_changed', `The replica was computed by rules ${storedSpec}, this release has ${spec}: run the release that wrote it, or reset`);
  }
}

/**
 * Claims partitions, each with a new epoch. One that cannot start says why instead. Claims nothing when `isCurrent` says that
 * the assignment is over by the time the epochs would be raised.
 */
export async function claimPartitions(context: ClaimContext, refs: PartitionRef[], isCurrent: () => boolean): Promise<ClaimResult[]> {
  const { redis, admin, keys } = context;
  await claimPipeline(context);
  if (!isCurrent()) return [];
  const epochs = await Promise.all(refs.map(({ topic, partition }) => redis.increment(keys.owner(topic, partition), 'epoch')));
  const topics = [...new Set(refs.map(({ topic }) => topic))];
  const bounds = new Map(await Promise.all(topics.map(async (topic) => [topic, await admin.offsets(topic)] as const)));
  return Promise.all(
    refs.map((ref, i) => {
      const log = bounds.get(ref.topic)?.find(({ partition }) => partition === ref.partition);
      if (!log) throw new PipelineError('topic_cut', `Partition ${ref.partition} of ${ref.topic} is gone`);
      return readFence(context, ref, epochs[i]!, log);
    }),
  );
}

async function readFence({ redis, keys, spec }: ClaimContext, ref: PartitionRef, epoch: number, log: { low: bigint; high: bigint }): Promise<ClaimResult> {
  const [[stored = null], owner, pipeline] = await Promise.all([
    redis.strings([keys.offset(ref.topic, ref.partition)]),
    redis.hash(keys.owner(ref.topic, ref.partition)),
    redis.hash(keys.pipeline),
  ]);
  const offset = stored === null ? null : BigInt(stored);
  const start = decideStart({ offset, fingerprint: owner['last'] ?? null, seen: owner['seen'] ?? null }, log);
  if ('halt' in start) return { ref, halt: start.halt };
  const generation = pipeline[`generation:${ref.topic}`] ?? '';
  return {
    start: start.offset,
    claim: {
      ...ref,
      epoch,
      offset,
      guards: { spec, [`generation:${ref.topic}`]: generation },
      generation: Number(generation || 0),
      expect: start.expect,
    },
  };
}
