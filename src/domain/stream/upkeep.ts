/**
 * How the stream's windows are looked after in the commit that changes them: what is over is left out and counted, the rest gets its time
 * to live. Pure. Invariant: a window's key outlives the last change that is applied to it.
 */
import type { WritePlan } from '../fold.ts';
import { names } from '../keys.ts';
import type { Upkeep } from '../upkeep.ts';
import { activityFrom, activityKeptMs, dayMs, dropExpired, dropOld, velocityKeptMs, windowKeptMs } from './expiry.ts';
import { minuteMs, minuteOf, startOfMinute } from './minute.ts';
import { recentOrders, recentUnits } from './tables.ts';

export interface Tending {
  nowMs: number;
  latenessMs: number;
  /** Whether a hash is to be looked through for fields that are too old; by default each. */
  isUntidy?: (hash: string) => boolean;
}

/** Commits take less than this. */
const graceMs = 60 * minuteMs;
/** Minutes of a velocity and days of an activity that are removed; one that was left alone for longer is gone as a whole. */
const velocityTail = 61;
const activityTail = 3;
const expiredStats = 'stream:stats:expired';
const lastOrder: [string, string] = ['last_order_id', 'last_order_ms'];

/** How far rules over 60 s look back from a commit. */
export const slidingKeptMs = (latenessMs: number): number => latenessMs + 2 * minuteMs;

/** Takes out of `plan` what belongs to windows that are over, and says what else its commit has to do. */
export function tendWindows(plan: WritePlan, { nowMs, latenessMs, isUntidy = () => true }: Tending): Upkeep {
  const keptMs = slidingKeptMs(latenessMs);
  const from = { orders: activityFrom(nowMs), units: plan.lastCommitMs === null ? 0 : plan.lastCommitMs - keptMs };
  dropOld(plan, from);
  const expired = dropExpired(plan, nowMs);
  const upkeep: Upkeep = { sets: [], last: [], hashes: [], told: [], toldAbove: [] };
  const hashes = new Set([...plan.counters.keys()].filter((hash) => hash.startsWith('realtime:')));
  for (const name of plan.members.keys()) {
    if (name.startsWith(recentUnits(''))) upkeep.sets.push({ name, ttlMs: 2 * keptMs, below: from.units });
    if (!name.startsWith(recentOrders(''))) continue;
    const hash = names.activity(name.slice(recentOrders('').length));
    upkeep.sets.push({ name, ttlMs: activityKeptMs + graceMs, below: from.orders });
    upkeep.last.push({ set: name, hash, fields: lastOrder });
    hashes.add(hash);
  }
  for (const name of hashes) upkeep.hashes.push({ name, ttlMs: ttlMs(name, nowMs), removed: isUntidy(name) ? oldFields(name, nowMs) : [] });
  if (expired.size > 0) plan.counters.set(expiredStats, expired);
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
