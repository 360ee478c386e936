/** Looks at the running stack every few seconds: a line of figures for whoever watches. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Settings } from '../config.ts';
import { createKeys, names } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import type { Say } from './progress.ts';
import { connectReplica, createStatusReader, type StackStatus } from './status.ts';

const intervalMs = 5000;

/** Runs until `signal`. `showLine` is called with every line of figures; null when nobody looks. */
export async function watchStack(settings: Settings, signal: AbortSignal, showLine: Say | null): Promise<void> {
  const readStatus = createStatusReader(settings);
  while (!signal.aborted) {
    if (showLine) {
      const status = await readStatus();
      if (!signal.aborted) showLine(await describeStatus(settings, status));
    }
    await wait(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** One line: health, lag, events by op, rows, revenue. */
async function describeStatus(settings: Settings, status: StackStatus): Promise<string> {
  if (!status.healthy) return `NOT HEALTHY: ${status.problems.join('; ')}`;
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  const redis = connectReplica(settings, 'sluice-watch');
  try {
    const of = (name: string): string => keys.of(name);
    const stats = tables.map(({ name }) => of(names.stats(name)));
    const live = tables.map(({ name }) => of(names.live(name)));
    const hashes = await redis.hashes([of(names.revenue), ...stats, ...live]);
    return figures(status, hashes[0] ?? {}, hashes.slice(1, 1 + tables.length), hashes.slice(1 + tables.length));
  } catch (error) {
    return `figures are not available: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    await redis.close();
  }
}

type Hash = Record<string, string>;

function figures(status: StackStatus, revenue: Hash, stats: Hash[], live: Hash[]): string {
  const sum = (hashes: Hash[], field: string): bigint => hashes.reduce((total, hash) => total + BigInt(hash[field] ?? 0), 0n);
  const ops = ['r', 'c', 'u', 'd'].map((op) => `${op} ${sum(stats, op)}`).join(', ');
  const lagEvents = status.lag.reduce((total, { events }) => total + events, 0);
  const lagMs = Math.max(0, ...status.lag.map(({ ms }) => ms));
  return `healthy · lag ${lagEvents} events, ${lagMs} ms · events ${ops} · rows ${sum(live, 'live')} · revenue ${formatCents(BigInt(revenue['total_cents'] ?? 0))}`;
}

export function formatCents(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
  const whole = digits.slice(0, -2).replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return `${cents < 0n ? '-' : ''}${whole}.${digits.slice(-2)}`;
}
