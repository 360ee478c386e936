/**
 * Taking ownership of partitions: raise the owner epoch first, then read the fence.
 * Invariant: after the raise no earlier owner can commit, so what is read next cannot change under us. A gap in the topic is
 * told, as a condition that makes the table be read again, before the fence moves over it.
 */
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { decideStart } from '../domain/start-position.ts';
import { isNewerSpec } from '../domain/tables/spec.ts';
import { partitionName, type PartitionRef } from '../domain/topics.ts';
import { readFence } from '../replica/fence.ts';
import { decodeReply, encodeCommit, expectFence, type Commit, type Fence } from '../replica/commit.ts';
import type { ReplicaStatus } from '../replica/status.ts';
import { changeTogether, nextGeneration } from '../replica/table-state.ts';
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

export type ClaimResult = { claim: Claim; start: bigint } | { ref: PartitionRef; halt: string } | { ref: PartitionRef; gone: true };

export interface ClaimContext {
  redis: RedisStore;
  admin: Pick<KafkaAdmin, 'offsets'>;
  keys: Keys;
  /** Names what the contributions mean; stored once, compared at every commit. */
  spec: string;
  identity: PipelineIdentity;
  status: ReplicaStatus;
  /** Tables whose rows were computed by the rules. */
  tables: readonly string[];
  /** Table whose changes a topic carries; null when losing some of its records loses nothing (heartbeats). */
  tableOf: (topic: string) => string | null;
}

/** Claims the key prefix for this pipeline. Throws PipelineError `identity_mismatch` or `spec_changed` when it is another's. */
async function claimPipeline(context: ClaimContext): Promise<void> {
  const { redis, keys, identity, spec } = context;
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
  if (storedSpec !== spec) await takeOver(context, storedSpec);
}

/**
 * Newer rules take over from older ones: whatever they have computed is told and read again, and from the new name on the older
 * release commits nothing. The conditions come first: who dies after them sets them once more.
 */
async function takeOver({ redis, keys, spec, status, tables }: ClaimContext, stored: string): Promise<void> {
  if (!isNewerSpec(spec, stored)) {
    throw new PipelineError('spec_changed', `The replica was computed by rules ${stored}, this release has ${spec}: run the release that wrote it or a newer one, or reset`);
  }
  for (const table of tables) await status.set(table, 'rebuilding', 'cut', `it was computed by rules ${stored}: reading it again by ${spec}`);
  await redis.setFields(keys.pipeline, { spec });
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
  const recounted = new Map(await Promise.all(topics.map(async (topic) => [topic, await countPartitions(context, topic, bounds.get(topic)!.length)] as const)));
  return Promise.all(
    refs.map(async (ref, i) => {
      const log = bounds.get(ref.topic)?.find(({ partition }) => partition === ref.partition);
      if (!log) return { ref, gone: true }; // a static member that returns is given what it had, whatever became of it
      const halt = recounted.get(ref.topic) ?? null;
      return halt === null ? claimFence(context, ref, epochs[i]!, log) : { ref, halt };
    }),
  );
}

/** Why nothing of the topic may be read: keys stand in other partitions than they did. Null when the count is what it was. */
async function countPartitions({ redis, keys, status, tableOf }: ClaimContext, topic: string, count: number): Promise<string | null> {
  const stored = await redis.claimField(keys.pipeline, `partitions:${topic}`, String(count));
  if (stored === String(count)) {
    await status.forgetBeyond(tableOf(topic) ?? 'heartbeat', topic, count);
    return null;
  }
  return `${topic} has ${count} partitions, the replica was made from ${stored}: keys have changed partitions. Re-create the topic with ${stored} (TOPIC_PARTITIONS), or reset`;
}

async function claimFence(context: ClaimContext, ref: PartitionRef, epoch: number, log: { low: bigint; high: bigint }): Promise<ClaimResult> {
  const { spec } = context;
  const fence = await readFence(context, ref);
  const claim: Claim = { ...ref, epoch, spec, offset: fence.offset, expect: null };
  const start = decideStart(fence, log);
  if ('gap' in start) return startOver(context, claim, start.offset, start.gap);
  return { claim: { ...claim, expect: start.expect }, start: start.offset };
}

/**
 * Puts the fence to `offset`, the log's start, under a raised generation, and tells that the table must be read again.
 * The condition comes first: who dies after it has it set once more, who died before it would have lost it.
 */
export async function startOver(context: ClaimContext, fence: Fence, offset: bigint, why: string): Promise<ClaimResult> {
  const { redis, keys, status, tableOf } = context;
  const { topic, partition } = fence;
  const moved: Commit = {
    expect: expectFence(keys, fence),
    strings: [[keys.offset(topic, partition), String(offset)]],
    fields: [[keys.owner(topic, partition), 'last', '']],
  };
  const table = tableOf(topic);
  if (table === null) {
    const script = encodeCommit(keys, moved);
    decodeReply(await redis.commit(script.keys, script.args));
  } else {
    await status.set(table, 'rebuilding', 'cut', `${partitionName(fence)}: ${why}`);
    await status.clear(table, 'sweeping', partitionName(fence)); // of a TRUNCATE that may not come again
    await changeTogether(redis, keys, table, nextGeneration, moved);
  }
  return { claim: { ...fence, offset, expect: null }, start: offset }; // if another owner came first, the first commit is refused
}
