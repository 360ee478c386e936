/**
 * Looks after the stream's windows in Redis: changes to those that are over are dropped and counted, the others are given their
 * time to live. Invariant: a window's key outlives the last change that is applied to it, so nothing is ever taken back from nothing.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import type { WritePlan } from '../../domain/fold.ts';
import type { Keys } from '../../domain/keys.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { activityKeptMs, dropExpired, dropOld, velocityKeptMs, windowKeptMs } from '../../domain/stream/expiry.ts';
import { minuteMs, minuteOf, startOfMinute } from '../../domain/stream/minute.ts';
import { touchesOf } from '../../domain/stream/touches.ts';
import type { Windows } from '../processor.ts';
import { clockKey } from './closed-minutes.ts';
import { watched } from './watcher.ts';

export interface StreamWindowsDeps {
  redis: Pick<RedisStore, 'renew' | 'set'>;
  keys: Keys;
  /** Changes come so late after their minute, milliseconds. */
  latenessMs: number;
  limits: RuleLimits;
  now?: () => number;
}

/** Commits take less than this. */
const graceMs = 60 * minuteMs;
/** Minutes of a velocity that are removed when it is touched; one that was left alone for longer is gone as a whole. */
const velocityTail = 61;
const expiredStats = 'stream:stats:expired';

export function createStreamWindows({ redis, keys, latenessMs, limits, now = Date.now }: StreamWindowsDeps): Windows {
  const slidingKeptMs = latenessMs + 2 * minuteMs;
  /** Hash → until when its time to live needs no word. */
  const settled = new Map<string, number>();

  return {
    trim: (plan) => {
      if (plan.lastCommitMs !== null) dropOld(plan, plan.lastCommitMs - slidingKeptMs);
      const dropped = dropExpired(plan, now());
      if (dropped.size > 0) plan.counters.set(expiredStats, dropped);
    },
    touched: async (plan) => {
      const nowMs = now();
      const recent = [...plan.members.keys()].filter((set) => set.startsWith('stream:recent:'));
      const hashes = touchedWindows(plan).filter((hash) => (settled.get(hash) ?? 0) <= nowMs);
      const below = plan.lastCommitMs === null ? {} : { below: plan.lastCommitMs - slidingKeptMs };
      const fields = minutesBefore(nowMs - velocityKeptMs, velocityTail);
      await redis.renew([
        ...recent.map((set) => ({ key: keys.of(set), ttlMs: 2 * slidingKeptMs, ...below })),
        ...hashes.map((hash) => ({ key: keys.of(hash), ttlMs: ttlMs(hash, nowMs), ...(hash.endsWith(':velocity') && { fields }) })),
      ]);
      for (const hash of hashes) settled.set(hash, nowMs + minuteMs);
      if (hashes.length > 0) for (const [hash, untilMs] of settled) if (untilMs <= nowMs) settled.delete(hash);
    },
    tell: ({ table, events, stored, partition }) => {
      const { sliding, findings } = touchesOf({ table, events, stored, partition, limits });
      return [
        ...[...sliding].map(([set, origin]): [string, string, string] => [keys.of(watched.touched), set, origin]),
        ...findings.map((draft): [string, string, string] => [keys.of(watched.outbox), `${draft.type} ${draft.finding.entity} ${draft.origin}`, JSON.stringify(draft)]),
      ];
    },
    tick: async (sourceMs) => {
      await redis.set(keys.of(clockKey), String(sourceMs));
    },
  };
}

const touchedWindows = ({ counters }: WritePlan): string[] => [...counters.keys()].filter((hash) => hash.startsWith('realtime:'));

function ttlMs(hash: string, nowMs: number): number {
  if (hash.endsWith(':velocity')) return velocityKeptMs + graceMs;
  if (hash.endsWith(':activity')) return activityKeptMs + graceMs;
  const startMs = startOfMinute(hash.slice(hash.lastIndexOf(':') + 1)) ?? nowMs;
  return startMs + windowKeptMs + graceMs - nowMs;
}

const minutesBefore = (ms: number, count: number): string[] => Array.from({ length: count }, (_, at) => minuteOf(ms - at * minuteMs) ?? '');
