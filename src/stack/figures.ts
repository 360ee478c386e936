/** What a person wants to see of the replica at a glance, read in one round trip; the last batch costs another when it is a new one. */
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { names } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';

export interface Figures {
  /** Applied events by op. */
  events: Record<(typeof ops)[number], bigint>;
  rows: bigint;
  revenueCents: bigint;
  alerts: { open: number; newest: OpenAlert[] };
  batch: LastBatch | null;
}

export interface OpenAlert {
  /** `<type>/<entity>/<episode>`, as `sluice alerts` takes it. */
  id: string;
  openedMs: number;
}

export interface LastBatch {
  runId: string;
  endedMs: number;
  seconds: number;
  verdict: string;
  /** Customers by segment. */
  segments: Record<string, number>;
}

const ops = ['c', 'u', 'd', 'r', 't'] as const;
const newestMost = 40;

type Hash = Record<string, string>;

/** Reads the figures again and again; remembers the summary of the batch that it has seen. */
export function createFiguresReader(redis: RedisStore, keys: Keys): () => Promise<Figures> {
  let seen: { runId: string; summary: Pick<LastBatch, 'verdict' | 'segments'> } | null = null;

  const summaryOf = async (runId: string): Promise<Pick<LastBatch, 'verdict' | 'segments'>> => {
    if (seen?.runId !== runId) {
      const [text] = await redis.strings([keys.batchSummary(runId)]);
      const summary = JSON.parse(text ?? '{}') as { quality_verdict?: string; customer_insights?: { segments?: Record<string, number> } };
      seen = { runId, summary: { verdict: summary.quality_verdict ?? 'unknown', segments: summary.customer_insights?.segments ?? {} } };
    }
    return seen.summary;
  };

  return async () => {
    const of = (name: string): string => keys.of(name);
    const [hashes, strings, open, members] = await Promise.all([
      redis.hashes([of(names.revenue), ...tables.flatMap(({ name }) => [of(names.stats(name)), of(names.live(name))])]),
      redis.strings([keys.batchLatest('customers'), keys.batchJobs('last_run'), keys.batchJobs('last_duration')]),
      redis.members(keys.alertsOpen),
      redis.highest(keys.alertsOpen, newestMost),
    ]);
    const [runId, lastRun, duration] = strings;
    return {
      events: Object.fromEntries(ops.map((op) => [op, sum(hashes, op)])) as Figures['events'],
      rows: sum(hashes, 'live'),
      revenueCents: BigInt(hashes[0]?.['total_cents'] ?? 0),
      alerts: { open, newest: members.map(({ member, score }) => ({ id: member.replace(':', '/'), openedMs: score })) },
      batch: runId && lastRun ? { runId, endedMs: Date.parse(lastRun), seconds: Number(duration), ...(await summaryOf(runId)) } : null,
    };
  };
}

const sum = (hashes: Hash[], field: string): bigint => hashes.reduce((total, hash) => total + BigInt(hash[field] ?? 0), 0n);

export function formatCents(cents: bigint): string {
  const digits = String(cents < 0n ? -cents : cents).padStart(3, '0');
  return `${cents < 0n ? '-' : ''}${grouped(digits.slice(0, -2))}.${digits.slice(-2)}`;
}

/** `1,234,567`. */
export const grouped = (digits: string | bigint | number): string => String(digits).replaceAll(/\B(?=(\d{3})+$)/g, ',');
