/**
 * Compares the stream's windows with SQL over the source: the consumers stand at a snapshot of it while both are read.
 * Windows that may be over before the comparison ends are left out.
 */
import { readFileSync } from 'node:fs';
import type { Queryable } from '../adapters/postgres.ts';
import { compareAmounts, type AmountDifference, type ComparedAmounts, type Hashes } from './compare.ts';
import { createPipeline, type PipelineDeps } from './pipeline.ts';
import { readTyped } from './read-typed.ts';
import type { Counter } from './source.ts';

export interface StreamReport {
  ok: boolean;
  checked: number;
  differences: AmountDifference[];
  /** How the moment of comparison was found: consumers were held, or everything had been applied. */
  method: 'hold' | 'quiet';
  behind: boolean;
}

const minuteMs = 60_000;
/** Of the 24 hours that a window is corrected; minutes after now are for clocks that are fast. */
const minutesBack = 23 * 60;
const minutesAhead = 2;
const tries = 3;
const sql = readFileSync(new URL('../../sql/verify/stream.sql', import.meta.url), 'utf8');

/** `deps.keys` are the stream's. Errors: those of the servers. */
export async function verifyStream(deps: PipelineDeps, nowMs: number): Promise<StreamReport> {
  const pipeline = createPipeline(deps);
  const fromMs = Math.floor(nowMs / minuteMs) * minuteMs - minutesBack * minuteMs;
  const compare = async (found: Hashes, source: Queryable): Promise<ComparedAmounts> => compareAmounts(inWindows(await source.query<Counter>(sql, [iso(fromMs)]), found), found);
  let last: ComparedAmounts | undefined;
  for (let i = 0; i < tries; i += 1) {
    const compared = await pipeline.atHold(() => readWindows(deps, fromMs), compare);
    if (compared?.differences.length === 0) return { ok: true, ...compared, method: 'hold', behind: false };
    last = compared ?? last;
  }
  if (last) return { ok: false, ...last, method: 'hold', behind: false };
  await pipeline.caughtUp();
  const compared = await compare(await readWindows(deps, fromMs), deps.db);
  return { ok: compared.differences.length === 0, ...compared, method: 'quiet', behind: pipeline.isBehind() };
}

/** By logical name, in one atomic read. */
async function readWindows({ redis, keys }: PipelineDeps, fromMs: number): Promise<Hashes> {
  const minutes = Array.from({ length: minutesBack + minutesAhead }, (_, at) => iso(fromMs + at * minuteMs).replaceAll('-', '').replace('T', '_').replace(':', '').slice(0, 13));
  const names = minutes.flatMap((minute) => [`realtime:metrics:${minute}`, `realtime:geo:customers:${minute}`]);
  const found = await readTyped(redis, 'hash', names.map(keys.of), redis.hashes);
  return new Map(names.map((name, at) => [name, found[at] ?? {}]));
}

/** What lies further ahead than was read is not compared. */
const inWindows = (expected: Counter[], found: Hashes): Counter[] => expected.filter(({ hash }) => found.has(hash));

const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 19);

export function formatStreamReport({ ok, checked, differences, method, behind }: StreamReport): string {
  return [
    `windows ${checked} counters checked, ${differences.length} differ (${method})`,
    ...differences.slice(0, 20).map(({ key, field, expected, found }) => `${key}  ${field}: expected ${expected}, found ${found}`),
    ...(behind ? ['The stream did not catch up while verify waited (see sluice status): what differs may be on its way.'] : []),
    ok ? "The stream's windows equal PostgreSQL." : "The stream's windows DIFFER from PostgreSQL.",
  ].join('\n');
}
