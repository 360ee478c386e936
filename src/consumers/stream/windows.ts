/** What the engine is told of the stream's windows: how they are looked after, what rules must look at, and the source's clock. */
import type { RedisStore } from '../../adapters/redis.ts';
import type { WritePlan } from '../../domain/fold.ts';
import type { Keys } from '../../domain/keys.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { outOfOrder } from '../../domain/stream/lateness.ts';
import { minuteMs } from '../../domain/stream/minute.ts';
import { recentOrders } from '../../domain/stream/tables.ts';
import { touchesOf, watched, type TouchInput } from '../../domain/stream/touches.ts';
import { keepWithWindow, slidingKeptMs, tendWindows } from '../../domain/stream/upkeep.ts';
import type { Upkeep } from '../../domain/upkeep.ts';
import type { Windows } from '../processor.ts';
import { clockKey } from './closed-minutes.ts';

export interface StreamWindowsDeps {
  redis: Pick<RedisStore, 'set'>;
  keys: Keys;
  /** A minute is closed so long after its end, milliseconds. */
  latenessMs: number;
  limits: RuleLimits;
  now?: () => number;
}

/** Hashes of events by table. */
const stats = { late: 'stream:stats:late', ahead: 'stream:stats:ahead' } as const;
/** More are not remembered: then each is looked through again. */
const askedMost = 50_000;

export function createStreamWindows({ redis, keys, latenessMs, limits, now = Date.now }: StreamWindowsDeps): Windows {
  const isUntidy = onceAMinute(now);

  return {
    tend: (plan, batch) => {
      const nowMs = now();
      const upkeep = tendWindows(plan, { nowMs, latenessMs, isUntidy });
      if (!batch) return upkeep;
      countOutOfOrder(batch, plan, latenessMs);
      const { sliding, findings, read } = touchesOf({ ...batch, limits });
      for (const [hash, states] of read) {
        plan.counters.set(hash, states);
        keepWithWindow(upkeep, hash, nowMs);
      }
      const touched = (most: number): Upkeep['toldAbove'][number] => ({ hash: watched.touched, most, sets: [] });
      const [orders, units] = [touched(limits.bulkOrdersMax), touched(0)];
      for (const [set, { origin, commitMs }] of sliding) (set.startsWith(recentOrders('')) ? orders : units).sets.push([set, origin, commitMs - slidingKeptMs(latenessMs)]);
      upkeep.toldAbove.push(orders, units);
      for (const draft of findings) upkeep.told.push([watched.outbox, `${draft.type} ${draft.finding.entity} ${draft.origin}`, JSON.stringify(draft)]);
      return upkeep;
    },
    tick: async (sourceMs) => {
      await redis.set(keys.of(clockKey), String(sourceMs));
    },
  };
}

/** Whether a name was not asked for within the last minute, as far as is remembered. */
function onceAMinute(now: () => number): (name: string) => boolean {
  const asked = new Set<string>();
  let sinceMs = now();
  return (name) => {
    if (asked.size >= askedMost || now() - sinceMs >= minuteMs) {
      asked.clear();
      sinceMs = now();
    }
    const { size } = asked;
    return asked.add(name).size > size;
  };
}

function countOutOfOrder({ table, events }: Pick<TouchInput, 'table' | 'events'>, plan: WritePlan, latenessMs: number): void {
  const counts = { late: 0, ahead: 0 };
  for (const event of events) {
    const kind = outOfOrder(event, latenessMs);
    if (kind !== null) counts[kind] += 1;
  }
  for (const kind of ['late', 'ahead'] as const) if (counts[kind] > 0) plan.counters.set(stats[kind], new Map([[table.name, counts[kind]]]));
}
