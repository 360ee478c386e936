/** Looks at the running stack every few seconds: a line of figures for whoever watches. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Settings } from '../config.ts';
import { createKeys } from '../domain/keys.ts';
import { createFiguresReader, formatCents } from './figures.ts';
import type { Say } from './progress.ts';
import { connectReplica, createStatusReader, lagOf, type StackStatus } from './status.ts';

const intervalMs = 5000;

/** Calls `say` with every line of figures until `signal` aborts. */
export async function watchStack(settings: Settings, signal: AbortSignal, say: Say): Promise<void> {
  const readStatus = createStatusReader(settings);
  while (!signal.aborted) {
    const status = await readStatus();
    if (!signal.aborted) say(await describeStatus(settings, status));
    await wait(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** One line: health, lag, events by op, rows, revenue. */
async function describeStatus(settings: Settings, status: StackStatus): Promise<string> {
  if (!status.healthy) return `NOT HEALTHY: ${status.problems.join('; ')}`;
  const redis = connectReplica(settings, 'sluice-watch');
  try {
    const { events, rows, revenueCents } = await createFiguresReader(redis, createKeys(settings.REDIS_KEY_PREFIX))();
    const lag = lagOf(status);
    const byOp = (['r', 'c', 'u', 'd'] as const).map((op) => `${op} ${events[op]}`).join(', ');
    return `healthy · lag ${lag?.events} events, ${lag?.ms} ms · events ${byOp} · rows ${rows} · revenue ${formatCents(revenueCents)}`;
  } catch (error) {
    return `figures are not available: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await redis.close();
  }
}
