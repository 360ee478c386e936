/** Liveness of the pipeline by what arrives, not by what runs. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import type { HeartbeatActivities } from '../workflows/contract.ts';

export interface HeartbeatDeps {
  db: Database;
  redis: RedisStore;
  keys: Keys;
  /** How long a written heartbeat may take to arrive. */
  patienceMs: number;
}

const pollMs = 100;

export function createHeartbeatActivities({ db, redis, keys, patienceMs }: HeartbeatDeps): HeartbeatActivities {
  return {
    checkHeartbeat: async () => {
      const [row] = await db.query<{ ms: string }>('SELECT floor(extract(epoch FROM max(ts)) * 1000)::text AS ms FROM cdc.heartbeat');
      const writtenMs = Number(row?.ms ?? 0);
      const deadlineMs = Date.now() + patienceMs;
      for (;;) {
        const [stored] = await redis.strings([keys.heartbeat]);
        const arrived = stored ? (JSON.parse(stored) as { ts: string }).ts : null;
        if (arrived !== null && Date.parse(arrived) >= writtenMs) return { heartbeat: arrived, delayMs: Math.max(0, Date.now() - Date.parse(arrived)) };
        if (Date.now() > deadlineMs) {
          throw new PipelineError('heartbeat_late', `The heartbeat of ${new Date(writtenMs).toISOString()} did not reach Redis in ${patienceMs} ms (last seen: ${arrived ?? 'none'}): see sluice status`);
        }
        await delay(pollMs);
      }
    },
  };
}
