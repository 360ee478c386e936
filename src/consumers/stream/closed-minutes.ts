/**
 * The rules over closed minutes, one minute after the other and none left out. A minute is closed by the source's clock, when all that
 * was written by then has been applied. Invariant: what was learnt and how far it goes move together, and only onward; of several that
 * judge, those that come later give way.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import type { AlertDraft } from '../../domain/alert-draft.ts';
import { names, type Keys } from '../../domain/keys.ts';
import { geographicAnomaly } from '../../domain/rules/geographic-anomaly.ts';
import { orderRate, type OrderRateState } from '../../domain/rules/order-rate.ts';
import type { Finding, RuleLimits } from '../../domain/rules/rule.ts';
import { windowKeptMs } from '../../domain/stream/expiry.ts';
import { minuteMs, minuteOf } from '../../domain/stream/minute.ts';
import { decodeReply, encodeCommit } from '../../replica/commit.ts';

export interface ClosedMinutesDeps {
  redis: RedisStore;
  keys: Keys;
  limits: RuleLimits;
  latenessMs: number;
  /** Asked after a heartbeat of that moment or a later one was applied; up to which moment that was asked about everything is. */
  appliedUpTo: (sourceMs: number) => Promise<number>;
}

/** Time of the last heartbeat, by the source's clock. */
export const clockKey = 'stream:clock';
const closedKey = 'stream:closed';
const learntKey = 'stream:learnt';
/** Minutes judged in one go: after a long absence there is a backlog. */
const minutesMost = 60;

export async function judgeClosedMinutes(deps: ClosedMinutesDeps, publish: (drafts: AlertDraft[]) => Promise<boolean>): Promise<void> {
  const { redis, keys, latenessMs, appliedUpTo } = deps;
  const [clock, closed] = await redis.strings([keys.of(clockKey), keys.of(closedKey)]);
  if (!clock) return;
  const overMs = Math.floor((Number(clock) - latenessMs) / minuteMs) * minuteMs; // minutes before this are over
  const firstMs = closed ? Math.max(Number(closed), overMs - windowKeptMs) : overMs;
  if (closed && firstMs >= overMs) return;
  const closableMs = Math.min(overMs, (await appliedUpTo(overMs + latenessMs)) - latenessMs); // and of those before this all is applied
  if (closableMs === -Infinity) return;
  if (!closed) return void (await redis.claim(keys.of(closedKey), String(closableMs))); // what was before us is nobody's silence
  let before = closed;
  for (let startMs = firstMs; startMs < Math.min(closableMs, firstMs + minutesMost * minuteMs); startMs += minuteMs) {
    if (!(await judgeMinute(deps, startMs, before, publish))) return;
    before = String(startMs + minuteMs);
  }
}

/** False when `closed` is no longer `before`: another process judges, and has learnt other minutes. */
async function judgeMinute({ redis, keys, limits }: ClosedMinutesDeps, startMs: number, before: string, publish: (drafts: AlertDraft[]) => Promise<boolean>): Promise<boolean> {
  const minute = minuteOf(startMs);
  if (minute === null) return false;
  const [totals = {}, states = {}, read = {}] = await redis.hashes([names.window(minute), names.newCustomers(minute), names.readCustomers(minute)].map(keys.of));
  const [closed, learnt = null] = await redis.strings([keys.of(closedKey), keys.of(learntKey)]);
  if (closed !== before) return false;
  const byState = Object.fromEntries(Object.entries(states).map(([state, count]) => [state === '(none)' ? '' : state, Math.max(0, Number(count) - (Object.hasOwn(read, state) ? Number(read[state]) : 0))]));
  const rate = orderRate.evaluate({ startMs, orders: Number(totals['orders'] ?? 0), revenueCents: BigInt(totals['revenue_cents'] ?? 0), learnt: learnt === null ? null : (JSON.parse(learnt) as OrderRateState) }, limits);
  const geo = geographicAnomaly.evaluate({ startMs, byState }, limits);
  const draft = ({ type, severity }: Pick<AlertDraft, 'type' | 'severity'>, finding: Finding): AlertDraft => ({ type, severity, finding, resolved: false, origin: `closed-minutes-0:${startMs / minuteMs}` });
  const isTold = await publish([...(geo ? [draft(geographicAnomaly, geo)] : []), ...rate.findings.map((finding) => draft(orderRate, finding))]);
  if (!isTold) return false;
  const script = encodeCommit(keys, {
    expect: { fields: [], strings: [[keys.of(closedKey), before]] },
    strings: [[keys.of(closedKey), String(startMs + minuteMs)], ...(rate.learnt ? [[keys.of(learntKey), JSON.stringify(rate.learnt)] as [string, string]] : []), [keys.windowLatest, minute]],
  });
  return decodeReply(await redis.commit(script.keys, script.args)).result === 'applied'; // else another was quicker: it has judged the minute as we have
}
