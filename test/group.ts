/** The consumer group as Kafka sees it, and how steadily its partitions' fences move: what tests of several consumers look at. */
import { setTimeout as delay } from 'node:timers/promises';
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs';
import { tables } from '../src/domain/tables/registry.ts';
import { groups, partitionName, tableTopic } from '../src/domain/topics.ts';
import { readLag } from '../src/replica/lag.ts';
import type { TestStack } from './stack.ts';

export interface GroupMember {
  /** A static member's id begins with its KAFKA_INSTANCE_ID. */
  memberId: string;
  /** `<topic>-<partition>` of the change topics. */
  partitions: string[];
}

/** The members of the CDC group with their partitions; empty while the group is rebalancing. */
export async function groupMembers(stack: TestStack): Promise<GroupMember[]> {
  const admin = new Kafka({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test-group', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const group = (await admin.describeGroups([groups.cdc])).groups[0];
    if (group?.state !== 'Stable') return [];
    const topics = new Set(tables.map(({ name }) => tableTopic(stack.settings.TOPIC_PREFIX, name)));
    return group.members.map(({ memberId, memberAssignment }) => {
      const assignment = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {};
      const own = Object.entries(assignment).filter(([topic]) => topics.has(topic));
      return { memberId, partitions: own.flatMap(([topic, list]) => list.map((partition) => partitionName({ topic, partition }))) };
    });
  } finally {
    await admin.disconnect();
  }
}

export interface FenceWatch {
  /** The longest time in which none of `partitions` moved although there was something to apply, between two times of performance.now(). */
  longestStillMs: (partitions: string[], fromMs: number, toMs: number) => number;
  /** When the first of `partitions` moved after `fromMs`; undefined when none has. */
  firstMoveMs: (partitions: string[], fromMs: number) => number | undefined;
  stop: () => Promise<void>;
}

/** Looks at every fence some twenty times a second and remembers when it moved. */
export function watchFences(stack: TestStack): FenceWatch {
  const { keys, redis, settings } = stack;
  const refs = tables.flatMap(({ name }) => Array.from({ length: settings.TOPIC_PARTITIONS }, (_, partition) => ({ topic: tableTopic(settings.TOPIC_PREFIX, name), partition })));
  const topics = [...new Set(refs.map(({ topic }) => topic))];
  const moves: { partition: string; atMs: number }[] = [];
  const drained: { partitions: Set<string>; atMs: number }[] = [];
  const stop = new AbortController();
  const watch = async (): Promise<void> => {
    let last: (string | null)[] = [];
    while (!stop.signal.aborted) {
      const now = await redis.strings(refs.map(({ topic, partition }) => keys.offset(topic, partition)));
      const atMs = performance.now();
      if (last.length > 0) refs.forEach((ref, i) => now[i] !== last[i] && moves.push({ partition: partitionName(ref), atMs }));
      last = now;
      const lag = await readLag({ admin: stack.kafka, redis, keys, topics });
      drained.push({ partitions: new Set(lag.filter(({ events }) => events === 0).map(partitionName)), atMs: performance.now() });
      await delay(20);
    }
  };
  const watching = watch();
  const movesOf = (partitions: string[], fromMs: number, toMs = Infinity): number[] =>
    moves.filter(({ partition, atMs }) => partitions.includes(partition) && atMs > fromMs && atMs <= toMs).map(({ atMs }) => atMs);
  return {
    longestStillMs: (partitions, fromMs, toMs) => {
      const idle = drained.filter(({ partitions: empty, atMs }) => atMs > fromMs && atMs <= toMs && partitions.every((one) => empty.has(one))).map(({ atMs }) => atMs);
      const times = [fromMs, ...movesOf(partitions, fromMs, toMs), ...idle, toMs].toSorted((a, b) => a - b);
      return Math.max(...times.slice(1).map((atMs, i) => atMs - times[i]!));
    },
    firstMoveMs: (partitions, fromMs) => movesOf(partitions, fromMs)[0],
    stop: () => {
      stop.abort();
      return watching;
    },
  };
}
