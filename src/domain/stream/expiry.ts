/**
 * Windows that are over. A change to one is counted and dropped, in both directions: its counters may be gone already, and taking
 * back from nothing would leave a negative number behind. Pure.
 */
import type { WritePlan } from '../fold.ts';
import { minuteMs, startOfMinute } from './minute.ts';
import { recentOrders, recentUnits } from './tables.ts';

/** A window can be corrected for so long after its minute has begun. */
export const windowKeptMs = 24 * 60 * minuteMs;
export const dayMs = 24 * 60 * minuteMs;
/** An activity by day: the day of the event and the one after it. */
export const activityKeptMs = 2 * dayMs;
export const velocityKeptMs = 60 * minuteMs;

/**
 * Takes out of `plan` what belongs to windows that are over at `nowMs` (event time). How many moves that were, by name, and when the last
 * window of each hash that stays in the plan is over.
 */
export function dropExpired(plan: WritePlan, nowMs: number): { dropped: Map<string, number>; ends: Map<string, number> } {
  const dropped = new Map<string, number>();
  const ends = new Map<string, number>();
  for (const [hash, fields] of plan.counters) {
    for (const field of fields.keys()) {
      const over = endOf(hash, field);
      if (over === null) continue;
      const [kind, ms] = over;
      if (ms > nowMs) {
        ends.set(hash, Math.max(ms, ends.get(hash) ?? 0));
        continue;
      }
      fields.delete(field);
      dropped.set(kind, (dropped.get(kind) ?? 0) + 1);
    }
    if (fields.size === 0) plan.counters.delete(hash);
  }
  return { dropped, ends };
}

/** The first moment of the day before: activities go back to it. */
export const activityFrom = (nowMs: number): number => (Math.floor(nowMs / dayMs) - 1) * dayMs;

/**
 * Takes out of `plan` what nobody looks at any more: orders and units from before `from`, milliseconds. A row remembers a member that was
 * never put in, and taking it out later changes nothing.
 */
export function dropOld(plan: WritePlan, from: { orders: number; units: number }): void {
  for (const [zset, members] of plan.members) {
    const fromMs = zset.startsWith(recentOrders('')) ? from.orders : zset.startsWith(recentUnits('')) ? from.units : null;
    if (fromMs === null) continue;
    for (const [member, move] of members) {
      if (move.after !== null && move.after < fromMs) move.after = null;
      if (move.after === null && move.before === null) members.delete(member);
    }
    if (members.size === 0) plan.members.delete(zset);
  }
}

/** Name of the kind of window that a counter is in, and the moment at which it is over; null for what never is. */
function endOf(hash: string, field: string): [kind: string, ms: number] | null {
  const parts = hash.split(':');
  if (parts[0] !== 'realtime') return null;
  const last = parts.at(-1)!;
  if (last === 'velocity') return ['velocity', (startOfMinute(field) ?? 0) + velocityKeptMs];
  if (last === 'activity') return ['activity', (startOfMinute(`${field.slice(0, 8)}_0000`) ?? 0) + activityKeptMs];
  return [parts[1]!, (startOfMinute(last) ?? 0) + windowKeptMs];
}
