/**
 * Publishes what the anomaly rules find: in single changes, in sliding windows that were touched, and in minutes that are closed.
 * What is to be looked at was written by the commits themselves and is taken away only when Kafka has stored the outcome: whoever
 * dies in between does it once more, and the ids of an alert and of its occurrences come out the same.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaProducer } from '../../adapters/kafka-producer.ts';
import type { RedisStore } from '../../adapters/redis.ts';
import type { AlertDraft } from '../../domain/alert-draft.ts';
import { PipelineError } from '../../domain/errors.ts';
import type { Keys } from '../../domain/keys.ts';
import { joinEpisode, type Episode } from '../../domain/rules/episode.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { minuteMs } from '../../domain/stream/minute.ts';
import { watched } from '../../domain/stream/touches.ts';
import { decodeReply, encodeCommit } from '../../replica/commit.ts';
import type { Failpoint } from '../../telemetry/failpoint.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { judgeClosedMinutes } from './closed-minutes.ts';
import { judgeSlidingWindow } from './sliding-windows.ts';

export interface WatcherDeps {
  redis: RedisStore;
  /** The stream's. */
  keys: Keys;
  producer: Pick<KafkaProducer, 'send'>;
  /** Topic of alerts. */
  topic: string;
  limits: RuleLimits;
  /** Crossings of one entity that are no further apart are one alert. */
  gapMs: number;
  latenessMs: number;
  /** Up to which moment of the source's clock everything that was written has been applied; of those it is asked about. */
  appliedUpTo: (sourceMs: number) => Promise<number>;
  log: Logger;
  failpoint: Failpoint;
}

const episodesHash = 'stream:episodes';
/** A look is three round trips while there is nothing to see. */
const everyMs = 100;
/** Sorted sets of one atomic read, entries of one script. */
const atOnce = 500;
/** For events that come late. */
const keptBeyondMs = 3_600_000;

/** Reads until `signal`; what time heals is waited for. */
export async function watchAnomalies(deps: WatcherDeps, signal: AbortSignal): Promise<void> {
  let prunedMs = performance.now();
  while (!signal.aborted) {
    try {
      if (performance.now() - prunedMs > minuteMs) {
        await forgetOld(deps);
        prunedMs = performance.now();
      }
      await publishFindings(deps);
      await publishSliding(deps);
      await judgeClosedMinutes(deps, (drafts) => publish(deps, drafts));
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry') throw error;
      deps.log.warn({ reason: error.message }, 'anomalies wait');
    }
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
  }
}

async function publishFindings(deps: WatcherDeps): Promise<void> {
  const { redis, keys } = deps;
  const hash = keys.of(watched.outbox);
  const findings = Object.entries(await redis.hash(hash)).map((entry) => ({ entry, draft: JSON.parse(entry[1]) as AlertDraft }));
  findings.sort((a, b) => offsetOf(a.draft) - offsetOf(b.draft)); // those about one row lie in one partition; a time may be shared
  for (let at = 0; at < findings.length; at += atOnce) {
    const some = findings.slice(at, at + atOnce);
    const waiting = some.map(({ entry: [field, value] }): [string, string, string] => [hash, field, value]); // or another has told it, and what followed it
    if (!(await publish(deps, some.map(({ draft }) => draft), waiting))) return;
    deps.failpoint('stream.remembered');
    await redis.settle(hash, some.map(({ entry }) => entry));
  }
}

async function publishSliding(deps: WatcherDeps): Promise<void> {
  const entries = Object.entries(await deps.redis.hash(deps.keys.of(watched.touched)));
  for (let at = 0; at < entries.length; at += atOnce) await judgeTouched(deps, entries.slice(at, at + atOnce));
}

async function judgeTouched(deps: WatcherDeps, entries: [set: string, touch: string][]): Promise<void> {
  const { redis, keys, limits } = deps;
  const touched = entries.map(([set, text]) => {
    const [origin = '', from = ''] = text.split(' ');
    return { set, origin, from: Number(from) };
  });
  const sets = await redis.sortedSets(touched.map(({ set }) => keys.of(set)), touched.map(({ from }) => from));
  const drafts = touched.flatMap(({ set, origin }, at) => judgeSlidingWindow(set, sets[at] ?? [], origin, limits));
  if (!(await publish(deps, drafts.toSorted((a, b) => a.finding.atMs - b.finding.atMs)))) return;
  await redis.settle(keys.of(watched.touched), entries);
}

/**
 * What an alert has told already is not told again: only crossings behind the last one of their episode are sent. False when another watcher has
 * remembered something else meanwhile, or what is `unchanged` is not: what was sent once more does no harm, and the next look is by what that one knows.
 */
async function publish({ redis, keys, producer, topic, gapMs, failpoint }: WatcherDeps, drafts: AlertDraft[], unchanged: [hash: string, field: string, value: string][] = []): Promise<boolean> {
  if (drafts.length === 0) return true;
  const hash = keys.of(episodesHash);
  const names = [...new Set(drafts.map(nameOf))];
  const stored = await redis.fields(hash, names);
  const episodes = new Map(names.map((name, at): [string, Episode[]] => [name, episodesIn(stored[at] ?? null)]));
  const closedAt = new Map<string, number>();
  const messages = drafts.flatMap((draft) => {
    const { type, finding } = draft;
    const name = nameOf(draft);
    const known = episodes.get(name)!;
    if (draft.resolved) {
      const open = known.at(-1);
      const isBefore = open && (finding.atMs < open.lastAt || (finding.atMs === open.lastAt && offsetOf(draft) < (open.offset ?? 0)));
      if (!open || isBefore) return []; // told already, by one of us that died: it was low again after it
      episodes.set(name, []);
      closedAt.set(name, open.lastAt);
      return known.map((one) => message({ alertId: alertIdOf(draft, one), type, resolved: true }));
    }
    const atMs = Math.max(finding.atMs, (closedAt.get(name) ?? 0) + 1); // the same moment would name the one that is closed
    const { episode, isNews, known: remembered } = joinEpisode(known, atMs, gapMs);
    if (!isNews) return [];
    episodes.set(name, remembered.map((one) => (one === episode ? { ...one, offset: offsetOf(draft) } : one)));
    return [message({ ...occurrence(draft), alertId: alertIdOf(draft, episode), episode: episode.episode })];
  });
  failpoint('stream.found');
  if (messages.length === 0) return true;
  await producer.send(topic, messages);
  failpoint('stream.published');
  const open = [...episodes].filter(([, known]) => known.length > 0).map(([name, known]): [string, string, string] => [hash, name, JSON.stringify(known)]);
  const script = encodeCommit(keys, { expect: { fields: [...names.map((name, at): [string, string, string] => [hash, name, stored[at] ?? '']), ...unchanged], strings: [] }, fields: open });
  if (decodeReply(await redis.commit(script.keys, script.args)).result !== 'applied') return false;
  const over = names.flatMap((name, at): [string, string][] => (stored[at] && episodes.get(name)!.length === 0 ? [[name, stored[at]]] : []));
  if (over.length > 0) await redis.settle(hash, over);
  return true;
}

/** In time order. A single one is what earlier releases have stored. */
const episodesIn = (text: string | null): Episode[] => (text === null ? [] : [JSON.parse(text) as Episode | Episode[]].flat());

/** Episodes nothing can join any more. What closes itself is remembered until it has. */
async function forgetOld({ redis, keys, gapMs }: WatcherDeps): Promise<void> {
  const hash = keys.of(episodesHash);
  const old = Object.entries(await redis.hash(hash)).filter(([name, text]) => !name.startsWith('low_stock ') && Math.max(...episodesIn(text).map(({ lastAt }) => lastAt)) < Date.now() - gapMs - keptBeyondMs);
  for (let at = 0; at < old.length; at += atOnce) await redis.settle(hash, old.slice(at, at + atOnce));
}

const offsetOf = ({ origin }: AlertDraft): number => Number(origin.slice(origin.lastIndexOf(':') + 1));
const nameOf = ({ type, finding }: AlertDraft): string => `${type} ${finding.entity}`;
const alertIdOf = ({ finding }: AlertDraft, { episode }: Episode): string => `${finding.entity}/${episode}`;
const message = (content: { alertId: string } & Record<string, unknown>) => ({ key: Buffer.from(content.alertId), value: Buffer.from(JSON.stringify(content)), headers: {} });

const occurrence = ({ type, severity, finding, origin }: AlertDraft) => ({
  type,
  severity,
  entity: finding.entity,
  value: finding.value,
  threshold: finding.threshold,
  window: finding.windowMs === null ? 'one change' : finding.windowMs === minuteMs ? '60 s' : `${finding.windowMs / 1000} s`,
  at: finding.atMs,
  origin,
});
