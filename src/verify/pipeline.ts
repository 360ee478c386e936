/**
 * Two ways to a moment at which source and replica may be compared while traffic goes on.
 * `caughtUp`: everything committed before the call has been applied. `atHold`: the replica stands at a database snapshot.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Database, Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { parseHold, parseSnapshot } from '../domain/hold.ts';
import type { Keys } from '../domain/keys.ts';
import { partitionName } from '../domain/topics.ts';
import type { PartitionEnd } from '../replica/lag.ts';
import { isoMicros } from './compare.ts';

export interface PipelineDeps {
  db: Database;
  redis: RedisStore;
  keys: Keys;
  /** End of every partition of the table topics. */
  readEnds: () => Promise<PartitionEnd[]>;
  /** Events not yet applied, of the same partitions. */
  readLag: () => Promise<{ topic: string; partition: number; events: number }[]>;
  /** How long `caughtUp` waits for a heartbeat to pass and the consumers to follow. */
  patienceMs: number;
  /** Begins the token of every hold, so that whoever ends early knows its own. */
  holder: string;
  /** Once aborted no hold is begun any more. */
  signal: AbortSignal;
}

export type Pipeline = ReturnType<typeof createPipeline>;

const holdMs = 5_000;
/** What is left of a hold must suffice for one atomic read. */
const holdWaitMs = 4_000;
const pollMs = 50;

export function createPipeline(deps: PipelineDeps) {
  const { db, redis, keys, readEnds, readLag, patienceMs, holder } = deps;
  let isBehind = false;
  let wasWritten = false;
  let holds = 0;
  /** Each partition has applied all before its end, or stands still for `token`. */
  const haveReached = async (ends: PartitionEnd[], token: string | null): Promise<boolean> => {
    const lag = await readLag();
    const drained = new Set(lag.filter(({ events }) => events === 0).map(partitionName));
    const held = token === null ? {} : await redis.hash(keys.held);
    const fences = await redis.strings(ends.map(({ topic, partition }) => keys.offset(topic, partition)));
    return ends.every(({ topic, partition, high }, at) => {
      const field = partitionName({ topic, partition });
      return held[field] === token || drained.has(field) || BigInt(fences[at] ?? 0) >= high;
    });
  };

  const heartbeatMicros = async (): Promise<bigint> => {
    const [json] = await redis.strings([keys.heartbeat]);
    return json ? (isoMicros((JSON.parse(json) as { ts: string }).ts) ?? 0n) : 0n;
  };

  /** Some partition met an event the snapshot does not see: so all that it sees has been sent. Then: all of that is applied. */
  const haveStopped = async (token: string, deadlineMs: number): Promise<boolean> => {
    const someHeld = async (): Promise<boolean> => Object.values(await redis.hash(keys.held)).includes(token);
    if (!(await until(someHeld, deadlineMs))) return false;
    const ends = await readEnds();
    return until(() => haveReached(ends, token), deadlineMs);
  };

  /** Where the partitions ended when all that was committed before the call was in them, once that is applied; null when it was waited for in vain. */
  const reachEnds = async (): Promise<PartitionEnd[] | null> => {
    if (isBehind) return null;
    const deadlineMs = Date.now() + patienceMs;
    const [row] = await db.query<{ micros: string }>('SELECT (extract(epoch FROM now()) * 1000000)::bigint::text AS micros');
    const calledMicros = BigInt(row?.micros ?? 0);
    const hasPassed = await until(async () => (await heartbeatMicros()) > calledMicros, deadlineMs);
    const ends = await readEnds();
    isBehind = !hasPassed || !(await until(() => haveReached(ends, null), deadlineMs));
    return isBehind ? null : ends;
  };

  return {
    /** Whether a wait for the pipeline was in vain: then nobody waits again, and what differs may be on its way. */
    isBehind: () => isBehind,
    /** Whether what differs may be on its way: the pipeline is behind, or there was no moment without traffic. */
    isOpen: () => isBehind || wasWritten,
    /** Says that something was compared beside the traffic. */
    leaveOpen: (): void => void (wasWritten = true),
    /** Waits until a heartbeat written after the call has passed, then until every partition is past what it had by then. */
    caughtUp: async (): Promise<boolean> => (await reachEnds()) !== null,
    /**
     * For when no hold stands: nothing is written that could stop a consumer, or none runs. Then what is there after a wait is what there
     * is, unless something was written meanwhile.
     */
    afterWait: async <T extends { differences: unknown[] }>(compare: () => Promise<T>): Promise<T> => {
      const before = await reachEnds();
      const compared = await compare();
      wasWritten ||= compared.differences.length > 0 && !isDeepStrictEqual(before?.map(({ high }) => high), (await reachEnds())?.map(({ high }) => high));
      return compared;
    },
    /**
     * Stops the consumers where a new snapshot ends, reads the replica, lets them go, and compares with SQL in that snapshot.
     * `undefined` when they did not all stop in time: no consumer runs, or nothing was written that could stop one.
     */
    atHold: <R, T>(readReplica: (source: Queryable) => Promise<R>, compare: (replica: R, source: Queryable) => Promise<T>): Promise<T | undefined> =>
      db.snapshot(async (source) => {
        holds += 1;
        const token = `${holder}/${holds}`;
        const held = await readAtHold(deps, token, source, () => haveStopped(token, Date.now() + holdWaitMs), readReplica);
        return held && (await compare(held.replica, source));
      }),
  };
}

/** Undefined when the consumers did not all stop in time, or the hold ran out while the replica was read. */
async function readAtHold<R>(deps: PipelineDeps, token: string, source: Queryable, haveStopped: () => Promise<boolean>, readReplica: (source: Queryable) => Promise<R>): Promise<{ replica: R } | undefined> {
  const { redis, keys, signal } = deps;
  const [row] = await source.query<{ text: string }>('SELECT pg_current_snapshot()::text AS text');
  signal.throwIfAborted();
  await redis.set(keys.hold, JSON.stringify(parseSnapshot(token, row?.text ?? '')), holdMs);
  try {
    if (!(await haveStopped())) return undefined;
    const replica = await readReplica(source);
    const isMine = parseHold((await redis.strings([keys.hold]))[0] ?? null)?.token === token;
    return isMine ? { replica } : undefined;
  } finally {
    await releaseHold(deps);
  }
}

/** Lets the consumers go, should they be held by this holder. */
export async function releaseHold({ redis, keys, holder }: Pick<PipelineDeps, 'redis' | 'keys' | 'holder'>): Promise<void> {
  const hold = parseHold((await redis.strings([keys.hold]))[0] ?? null);
  if (hold?.token.startsWith(`${holder}/`)) await redis.delete([keys.hold, keys.held]);
}

async function until(condition: () => Promise<boolean>, deadlineMs: number): Promise<boolean> {
  while (!(await condition())) {
    if (Date.now() >= deadlineMs) return false;
    await pause(pollMs);
  }
  return true;
}
