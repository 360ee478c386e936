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
import { watched } from './touches.ts';

export interface Tending {
  nowMs: number;
  latenessMs: number;
  /** Whether a hash or a set is to be looked through for what is too old in it; by default each. */
  isUntidy?: (name: string) => boolean;
}

/** Commits take less than this. */
const graceMs = 60 * minuteMs;
/** Minutes of a velocity that are removed: twice as long as it lives untouched, since a refused commit removes nothing. Days of an activity. */
const velocityTail = 240;
const activityTail = 3;
const expiredStats = 'stream:stats:expired';
const lastOrder: [string, string] = ['last_order_id', 'last_order_ms'];

/** How far rules over 60 s look back from a commit. */
export const slidingKeptMs = (latenessMs: number): number => latenessMs + 2 * minuteMs;

/** Takes out of `plan` what belongs to windows that are over, and says what else its commit has to do. */
export function tendWindows(plan: WritePlan, { nowMs, latenessMs, isUntidy = () => true }: Tending): Upkeep {
  const keptMs = slidingKeptMs(latenessMs);
  const from = { orders: activityFrom(nowMs), units: plan.firstCommitMs === null ? 0 : plan.firstCommitMs - keptMs };
  dropOld(plan, from);
  const { dropped, ends } = dropExpired(plan, nowMs);
  const hashes = new Set<string>();
  /** Longer for what is dated ahead. */
  const lifeMs = (hash: string): number => Math.max(ttlMs(hash, nowMs), (ends.get(hash) ?? 0) + graceMs - nowMs);
  for (const hash of plan.counters.keys()) if (hash.startsWith('realtime:')) hashes.add(hash);
  if (dropped.size > 0) plan.counters.set(expiredStats, dropped);
  const upkeep: Upkeep = { trimmed: [], last: [], removed: [], lives: new Map(), toldAbove: [], told: [] };
  const last: Upkeep['last'][number]['of'] = [];
  const untidy = { orders: [] as string[], units: [] as string[], activities: [] as string[], velocities: [] as string[] };
  for (const name of plan.members.keys()) {
    if (name.startsWith(recentUnits(''))) {
      put(upkeep.lives, windowKeptMs + graceMs, name);
      if (isUntidy(name)) untidy.units.push(name);
    }
    if (!name.startsWith(recentOrders(''))) continue;
    const hash = names.activity(name.slice(recentOrders('').length));
    hashes.add(hash);
    last.push([name, hash]);
    put(upkeep.lives, lifeMs(hash), name);
    if (!isUntidy(name)) continue;
    untidy.orders.push(name);
    untidy.activities.push(hash);
  }
  for (const name of hashes) {
    put(upkeep.lives, lifeMs(name), name);
    if (name.endsWith(':velocity') && isUntidy(name)) untidy.velocities.push(name);
  }
  for (const kind of ['orders', 'units'] as const) if (untidy[kind].length > 0) upkeep.trimmed.push({ hash: watched.touched, below: from[kind], sets: untidy[kind] });
  if (last.length > 0) upkeep.last.push({ fields: lastOrder, of: last });
  if (untidy.activities.length > 0) upkeep.removed.push({ fields: oldActivity(nowMs), hashes: untidy.activities });
  if (untidy.velocities.length > 0) upkeep.removed.push({ fields: oldVelocity(nowMs), hashes: untidy.velocities });
  return upkeep;
}

/** Lets `hash`, whose name ends in its minute, live as long as that minute's window. */
export const keepWithWindow = (upkeep: Upkeep, hash: string, nowMs: number): void => put(upkeep.lives, ttlMs(hash, nowMs), hash);

function put(groups: Map<number, string[]>, value: number, name: string): void {
  const names = groups.get(value);
  if (names) names.push(name);
  else groups.set(value, [name]);
}

function ttlMs(hash: string, nowMs: number): number {
  if (hash.endsWith(':velocity')) return velocityKeptMs + graceMs;
  if (hash.endsWith(':activity')) return activityKeptMs + graceMs;
  const startMs = startOfMinute(hash.slice(hash.lastIndexOf(':') + 1)) ?? nowMs;
  return startMs + windowKeptMs + graceMs - nowMs;
}

const oldVelocity = (nowMs: number): string[] => back(nowMs - velocityKeptMs, velocityTail, minuteMs);
const oldActivity = (nowMs: number): string[] =>
  back(activityFrom(nowMs) - dayMs, activityTail, dayMs).flatMap((minute) => [`${minute.slice(0, 8)}:orders`, `${minute.slice(0, 8)}:cents`]);

/** So many minutes by name, backwards from a moment. */
const back = (ms: number, count: number, stepMs: number): string[] => Array.from({ length: count }, (_, at) => minuteOf(ms - at * stepMs) ?? '');
