/**
 * Looks after the stream's windows in Redis: changes to those that are over are dropped and counted, the others are given their
 * time to live in the commit that changes them. Invariant: a window's key outlives the last change that is applied to it, so nothing is
 * ever taken back from nothing.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import type { WritePlan } from '../../domain/fold.ts';
import { names, type Keys } from '../../domain/keys.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { activityFrom, activityKeptMs, dayMs, dropExpired, dropOld, velocityKeptMs, windowKeptMs } from '../../domain/stream/expiry.ts';
import { outOfOrder } from '../../domain/stream/lateness.ts';
import { minuteMs, minuteOf, startOfMinute } from '../../domain/stream/minute.ts';
import { recentOrders, recentUnits } from '../../domain/stream/tables.ts';
import { touchesOf, type TouchInput } from '../../domain/stream/touches.ts';
import type { Upkeep } from '../../replica/commit.ts';
import type { Windows } from '../processor.ts';
import { clockKey } from './closed-minutes.ts';
import { watched } from './watcher.ts';

export interface StreamWindowsDeps {
  redis: Pick<RedisStore, 'set'>;
  keys: Keys;
  /** A minute is closed so long after its end, milliseconds. */
  latenessMs: number;
  limits: RuleLimits;
  now?: () => number;
}

/** Commits take less than this. */
const graceMs = 60 * minuteMs;
/** Minutes of a velocity and days of an activity that are removed; one that was left alone for longer is gone as a whole. */
const velocityTail = 61;
const activityTail = 3;
/** Hashes of counts by name: of kinds of windows that are over, of tables. */
const stats = { expired: 'stream:stats:expired', late: 'stream:stats:late', ahead: 'stream:stats:ahead' } as const;
/** The last order that a customer has placed, cancelled or not; milliseconds since 1970. */
const lastOrder: [string, string] = ['last_order_id', 'last_order_ms'];

export function createStreamWindows({ redis, keys, latenessMs, limits, now = Date.now }: StreamWindowsDeps): Windows {
  /** How far back rules over 60 s look from a batch's last commit. */
  const slidingKeptMs = latenessMs + 2 * minuteMs;
  /** Hash → until when it need not be looked through for old fields. */
  const tidied = new Map<string, number>();

  const tidy = (hash: string, nowMs: number): string[] => {
    if ((tidied.get(hash) ?? 0) > nowMs) return [];
    tidied.set(hash, nowMs + minuteMs);
    return oldFields(hash, nowMs);
  };

  return {
    tend: (plan) => {
      const nowMs = now();
      const from = { orders: activityFrom(nowMs), units: plan.lastCommitMs === null ? 0 : plan.lastCommitMs - slidingKeptMs };
      dropOld(plan, from);
      const dropped = dropExpired(plan, nowMs);
      const upkeep = upkeepOf(plan, from, nowMs, slidingKeptMs, (hash) => tidy(hash, nowMs));
      if (tidied.size > tidiedMost) for (const [hash, untilMs] of tidied) if (untilMs <= nowMs) tidied.delete(hash);
      if (dropped.size > 0) plan.counters.set(stats.expired, dropped);
      return upkeep;
    },
    tell: (batch, plan) => {
      countOutOfOrder(batch, plan, latenessMs);
      const { sliding, findings } = touchesOf({ ...batch, limits });
      const from = (plan.lastCommitMs ?? 0) - slidingKeptMs;
      return [
        ...[...sliding].map(([set, origin]): [string, string, string] => [keys.of(watched.touched), set, `${origin} ${from}`]),
        ...findings.map((draft): [string, string, string] => [keys.of(watched.outbox), `${draft.type} ${draft.finding.entity} ${draft.origin}`, JSON.stringify(draft)]),
      ];
    },
    tick: async (sourceMs) => {
      await redis.set(keys.of(clockKey), String(sourceMs));
    },
  };
}

const tidiedMost = 10_000;

function countOutOfOrder({ table, events }: Pick<TouchInput, 'table' | 'events'>, plan: WritePlan, latenessMs: number): void {
  const counts = { late: 0, ahead: 0 };
  for (const event of events) {
    const kind = outOfOrder(event, latenessMs);
    if (kind !== null) counts[kind] += 1;
  }
  for (const kind of ['late', 'ahead'] as const) if (counts[kind] > 0) plan.counters.set(stats[kind], new Map([[table.name, counts[kind]]]));
}

function upkeepOf(plan: WritePlan, from: { orders: number; units: number }, nowMs: number, slidingKeptMs: number, tidy: (hash: string) => string[]): Upkeep {
  const upkeep: Upkeep = { sets: [], last: [], hashes: [] };
  const hashes = new Set([...plan.counters.keys()].filter((hash) => hash.startsWith('realtime:')));
  for (const name of plan.members.keys()) {
    if (name.startsWith(recentUnits(''))) upkeep.sets.push({ name, ttlMs: 2 * slidingKeptMs, below: from.units });
    if (!name.startsWith(recentOrders(''))) continue;
    const hash = names.activity(name.slice(recentOrders('').length));
    upkeep.sets.push({ name, ttlMs: activityKeptMs + graceMs, below: from.orders });
    upkeep.last.push({ set: name, hash, fields: lastOrder });
    hashes.add(hash);
  }
  for (const name of hashes) upkeep.hashes.push({ name, ttlMs: ttlMs(name, nowMs), removed: tidy(name) });
  return upkeep;
}

function ttlMs(hash: string, nowMs: number): number {
  if (hash.endsWith(':velocity')) return velocityKeptMs + graceMs;
  if (hash.endsWith(':activity')) return activityKeptMs + graceMs;
  const startMs = startOfMinute(hash.slice(hash.lastIndexOf(':') + 1)) ?? nowMs;
  return startMs + windowKeptMs + graceMs - nowMs;
}

function oldFields(hash: string, nowMs: number): string[] {
  if (hash.endsWith(':velocity')) return back(nowMs - velocityKeptMs, velocityTail, minuteMs);
  if (!hash.endsWith(':activity')) return [];
  return back(activityFrom(nowMs) - dayMs, activityTail, dayMs).flatMap((minute) => [`${minute.slice(0, 8)}:orders`, `${minute.slice(0, 8)}:cents`]);
}

/** So many minutes by name, backwards from a moment. */
const back = (ms: number, count: number, stepMs: number): string[] => Array.from({ length: count }, (_, at) => minuteOf(ms - at * stepMs) ?? '');
