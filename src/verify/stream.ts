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
const dayMs = 1440 * minuteMs;
/** Of the 24 hours that a window is corrected, and of the hour of a velocity; minutes after now are for clocks that are fast. */
const minutesBack = 23 * 60;
const velocityBack = 57;
const minutesAhead = 2;
/** A comparison takes less. */
const lastsMs = 10 * minuteMs;
const tries = 3;
const hashesPerRead = 1000;
const scanKeys = 10_000;
const sql = readFileSync(new URL('../../sql/verify/stream.sql', import.meta.url), 'utf8');

/** What is compared: from these moments on, milliseconds; `toMs` is exclusive and of velocities and activities only. */
interface Span {
  windowsMs: number;
  velocityMs: number;
  activityMs: number;
  toMs: number;
}

function spanAt(nowMs: number): Span {
  const thisMinute = Math.floor(nowMs / minuteMs) * minuteMs;
  return {
    windowsMs: thisMinute - minutesBack * minuteMs,
    velocityMs: thisMinute - velocityBack * minuteMs,
    activityMs: (Math.floor((nowMs + lastsMs) / dayMs) - 1) * dayMs,
    toMs: thisMinute + minutesAhead * minuteMs,
  };
}

/** `deps.keys` are the stream's. Errors: those of the servers. */
export async function verifyStream(deps: PipelineDeps, nowMs: number): Promise<StreamReport> {
  const pipeline = createPipeline(deps);
  const span = spanAt(nowMs);
  const compare = async (found: Hashes, source: Queryable): Promise<ComparedAmounts> => {
    const expected = await source.query<Counter>(sql, [iso(span.windowsMs), iso(span.velocityMs), iso(span.activityMs), span.toMs]);
    return compareAmounts(expected.filter(({ hash, field }) => isCompared(span, hash, field)), onlyCompared(span, found));
  };
  let last: ComparedAmounts | undefined;
  for (let i = 0; i < tries; i += 1) {
    const compared = await pipeline.atHold(() => readWindows(deps, span), compare);
    if (compared?.differences.length === 0) return { ok: true, ...compared, method: 'hold', behind: false };
    last = compared ?? last;
  }
  if (last) return { ok: false, ...last, method: 'hold', behind: false };
  const compared = await pipeline.afterWait(async () => compare(await readWindows(deps, span), deps.db));
  return { ok: compared.differences.length === 0, ...compared, method: 'quiet', behind: pipeline.isOpen() };
}

/** By logical name: every minute, whether it is there or not, and the velocities and activities that are there. */
async function readWindows({ redis, keys }: PipelineDeps, { windowsMs, toMs }: Span): Promise<Hashes> {
  const minutes = Array.from({ length: (toMs - windowsMs) / minuteMs }, (_, at) => minuteName(windowsMs + at * minuteMs));
  const names = minutes.flatMap((minute) => [`realtime:metrics:${minute}`, `realtime:geo:customers:${minute}`]);
  const scanned = new Set<string>();
  for await (const page of redis.scan(keys.of('realtime:*'), scanKeys)) {
    for (const key of page) if (key.endsWith(':velocity') || key.endsWith(':activity')) scanned.add(key.slice(keys.prefix.length));
  }
  names.push(...scanned);
  const found: Hashes = new Map();
  for (let at = 0; at < names.length; at += hashesPerRead) {
    const some = names.slice(at, at + hashesPerRead);
    const hashes = await readTyped(redis, 'hash', some.map(keys.of), redis.hashes);
    for (const [i, name] of some.entries()) found.set(name, hashes[i] ?? {});
  }
  return found;
}

const onlyCompared = (span: Span, found: Hashes): Hashes =>
  new Map([...found].map(([hash, fields]) => [hash, typeof fields === 'string' ? fields : Object.fromEntries(Object.entries(fields).filter(([field]) => isCompared(span, hash, field) && !isElsewhen(span, fields, field)))]));

/** What lies further ahead than was read is not compared, nor what may be gone any moment. */
function isCompared({ windowsMs, velocityMs, activityMs, toMs }: Span, hash: string, field: string): boolean {
  if (hash.endsWith(':velocity')) return field >= minuteName(velocityMs) && field < minuteName(toMs);
  if (!hash.endsWith(':activity')) return hash.slice(-minuteLength) >= minuteName(windowsMs) && hash.slice(-minuteLength) < minuteName(toMs);
  return field.startsWith('last_') || (field >= dayName(activityMs) && field < dayName(toMs + dayMs));
}

/** A last order of before yesterday is told until its hash is over, and one of the future no longer. */
function isElsewhen({ activityMs, toMs }: Span, fields: Record<string, string>, field: string): boolean {
  const ms = Number(fields['last_order_ms']);
  return field.startsWith('last_') && (ms < activityMs || ms >= toMs);
}

const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
const minuteLength = '20261122_1400'.length;
const minuteName = (ms: number): string => iso(ms).replaceAll('-', '').replace('T', '_').replace(':', '').slice(0, minuteLength);
const dayName = (ms: number): string => minuteName(ms).slice(0, 8);

export function formatStreamReport({ ok, checked, differences, method, behind }: StreamReport): string {
  return [
    `windows ${checked} counters checked, ${differences.length} differ (${method})`,
    ...differences.slice(0, 20).map(({ key, field, expected, found }) => `${key}  ${field}: expected ${expected}, found ${found}`),
    ...(behind ? ['The stream did not catch up while verify waited, or never stood still (see sluice status): what differs may be on its way.'] : []),
    ok ? "The stream's windows equal PostgreSQL." : "The stream's windows DIFFER from PostgreSQL.",
  ].join('\n');
}
