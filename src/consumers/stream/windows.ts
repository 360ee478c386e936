/** What the engine is told of the stream's windows: how they are looked after, what rules must look at, and the source's clock. */
import type { RedisStore } from '../../adapters/redis.ts';
import type { WritePlan } from '../../domain/fold.ts';
import type { Keys } from '../../domain/keys.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { outOfOrder } from '../../domain/stream/lateness.ts';
import { minuteMs } from '../../domain/stream/minute.ts';
import { recentOrders } from '../../domain/stream/tables.ts';
import { touchesOf, type TouchInput } from '../../domain/stream/touches.ts';
import { slidingKeptMs, tendWindows } from '../../domain/stream/upkeep.ts';
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

/** Hashes of events by table. */
const stats = { late: 'stream:stats:late', ahead: 'stream:stats:ahead' } as const;
/** More are forgotten as soon as they may be. */
const tidiedMost = 10_000;

export function createStreamWindows({ redis, keys, latenessMs, limits, now = Date.now }: StreamWindowsDeps): Windows {
  /** Hash → until when it need not be looked through for old fields. */
  const tidied = new Map<string, number>();

  return {
    tend: (plan, batch) => {
      const nowMs = now();
      if (tidied.size > tidiedMost) for (const [hash, untilMs] of tidied) if (untilMs <= nowMs) tidied.delete(hash);
      const isUntidy = (hash: string): boolean => {
        if ((tidied.get(hash) ?? 0) > nowMs) return false;
        tidied.set(hash, nowMs + minuteMs);
        return true;
      };
      const upkeep = tendWindows(plan, { nowMs, latenessMs, isUntidy });
      if (!batch) return upkeep;
      countOutOfOrder(batch, plan, latenessMs);
      const { sliding, findings } = touchesOf({ ...batch, limits });
      const from = (plan.lastCommitMs ?? 0) - slidingKeptMs(latenessMs);
      for (const [set, origin] of sliding) upkeep.toldAbove.push({ set, most: set.startsWith(recentOrders('')) ? limits.bulkOrdersMax : 0, hash: watched.touched, field: set, value: `${origin} ${from}` });
      for (const draft of findings) upkeep.told.push([watched.outbox, `${draft.type} ${draft.finding.entity} ${draft.origin}`, JSON.stringify(draft)]);
      return upkeep;
    },
    tick: async (sourceMs) => {
      await redis.set(keys.of(clockKey), String(sourceMs));
    },
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
