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
import { episodeOf, type Episode } from '../../domain/rules/episode.ts';
import type { RuleLimits } from '../../domain/rules/rule.ts';
import { minuteMs } from '../../domain/stream/minute.ts';
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
  /** Whether everything that was written up to this moment of the source's clock has been applied. */
  isAppliedUpTo: (sourceMs: number) => Promise<boolean>;
  log: Logger;
  failpoint: Failpoint;
}

export const watched = { outbox: 'stream:outbox', touched: 'stream:touched', episodes: 'stream:episodes' } as const;
/** A look is three round trips while there is nothing to see. */
const everyMs = 100;
/** Sorted sets of one atomic read. */
const setsPerRead = 500;
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
  const entries = Object.entries(await redis.hash(hash));
  if (entries.length === 0) return;
  const drafts = entries.map(([, text]) => JSON.parse(text) as AlertDraft);
  await publish(deps, drafts.toSorted((a, b) => offsetOf(a) - offsetOf(b))); // those about one row lie in one partition; a time may be shared
  deps.failpoint('stream.remembered');
  await redis.settle(hash, entries);
}

async function publishSliding(deps: WatcherDeps): Promise<void> {
  const entries = Object.entries(await deps.redis.hash(deps.keys.of(watched.touched)));
  for (let at = 0; at < entries.length; at += setsPerRead) await judgeTouched(deps, entries.slice(at, at + setsPerRead));
}

async function judgeTouched(deps: WatcherDeps, entries: [set: string, touch: string][]): Promise<void> {
  const { redis, keys, limits } = deps;
  const touched = entries.map(([set, text]) => {
    const [origin = '', from = ''] = text.split(' ');
    return { set, origin, from: Number(from) };
  });
  const sets = await redis.sortedSets(touched.map(({ set }) => keys.of(set)), touched.map(({ from }) => from));
  const drafts = touched.flatMap(({ set, origin }, at) => judgeSlidingWindow(set, sets[at] ?? [], origin, limits));
  await publish(deps, drafts.toSorted((a, b) => a.finding.atMs - b.finding.atMs));
  await redis.settle(keys.of(watched.touched), entries);
}

/** What an alert has told already is not told again: only crossings behind the last one of its episode are sent. */
async function publish({ redis, keys, producer, topic, gapMs, failpoint }: WatcherDeps, drafts: AlertDraft[]): Promise<void> {
  if (drafts.length === 0) return;
  const names = [...new Set(drafts.map(nameOf))];
  const known = await redis.fields(keys.of(watched.episodes), names);
  const episodes = new Map(names.flatMap((name, at): [string, Episode][] => (known[at] ? [[name, JSON.parse(known[at]) as Episode]] : [])));
  const over: [name: string, episode: string][] = [];
  const messages = drafts.flatMap((draft) => {
    const { type, finding } = draft;
    const before = episodes.get(nameOf(draft)) ?? null;
    if (draft.resolved) {
      if (before && finding.atMs < before.lastAt) return []; // told already, by one of us that died: it was low again after it
      if (before) over.push([nameOf(draft), JSON.stringify(before)]);
      episodes.delete(nameOf(draft));
      return before ? [message({ alertId: alertIdOf(draft, before), type, resolved: true })] : [];
    }
    const episode = episodeOf(before, finding.atMs, gapMs);
    if (before && before.episode === episode.episode && finding.atMs <= before.lastAt) return [];
    episodes.set(nameOf(draft), episode);
    return [message({ ...occurrence(draft), alertId: alertIdOf(draft, episode), episode: episode.episode })];
  });
  failpoint('stream.found');
  if (messages.length > 0) await producer.send(topic, messages);
  failpoint('stream.published');
  if (over.length > 0) await redis.settle(keys.of(watched.episodes), over);
  if (episodes.size > 0) await redis.setFields(keys.of(watched.episodes), Object.fromEntries([...episodes].map(([name, episode]) => [name, JSON.stringify(episode)])));
}

/** Episodes nothing can join any more. What closes itself is remembered until it has. */
async function forgetOld({ redis, keys, gapMs }: WatcherDeps): Promise<void> {
  const hash = keys.of(watched.episodes);
  const old = Object.entries(await redis.hash(hash)).filter(([name, text]) => !name.startsWith('low_stock ') && (JSON.parse(text) as Episode).lastAt < Date.now() - gapMs - keptBeyondMs);
  for (let at = 0; at < old.length; at += 500) await redis.settle(hash, old.slice(at, at + 500));
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
