/**
 * Keeps a consumer group's work going until told to stop: a crashed or silent session is replaced by a new one.
 * Invariant: the process ends only for what a new session cannot mend (another pipeline's prefix, a session that never moves).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import { replacedMember } from '../adapters/kafka-client.ts';
import { PipelineError } from '../domain/errors.ts';
import type { RedisPresence } from './redis-presence.ts';
import { Session, type RunLoopOptions } from './run-loop.ts';
import { watchProgress } from './watchdog.ts';

export interface ConsumeOptions extends RunLoopOptions {
  admin: Pick<KafkaAdmin, 'memberIds'>;
  stallMs: number;
  /** While Redis is away, standing still is right; when it is back, every fence is in doubt. */
  presence: Pick<RedisPresence, 'away' | 'events'>;
}

/** The driver has its own growing pauses within a session: a long one here would only delay the return. */
const backoffMs = { first: 250, max: 2000 };
/** A session that held this long was no failed attempt. */
const heldMs = 30_000;
const stopMs = 10_000;
const stallsMax = 3;
const uuidLength = 36;

/** Resolves after `signal`; throws PipelineError when a human or a new process is needed. */
export async function consume(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const { log, stallMs } = options;
  const stopped = new Promise<'stopped'>((resolve) => {
    signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  let waitMs = backoffMs.first;
  let stalls = 0;
  let lastMember: string | null = null;
  while (!signal.aborted) {
    const startedMs = performance.now();
    if (lastMember !== null && (await isReplaced(options, lastMember))) throw replacedMember();
    const { outcome, memberId } = await runSession(options, stopped);
    lastMember = memberId;
    if (outcome === 'stopped') return;
    if (outcome instanceof PipelineError && outcome.action !== 'retry') throw outcome;
    const lastedMs = performance.now() - startedMs;
    if (lastedMs > heldMs) waitMs = backoffMs.first;
    if (lastedMs > 10 * stallMs) stalls = 0;
    if (typeof outcome === 'string') {
      stalls += 1;
      log.error({ partition: outcome, stallMs, stalls }, 'consumer stood still; making a new one');
      if (stalls >= stallsMax) throw new PipelineError('consumer_stuck', `The consumer stood still ${stalls} times at ${outcome}: a new process is needed`);
      continue;
    }
    log.warn({ reason: outcome.message, retryInMs: waitMs }, 'consumer session ended; waiting');
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, backoffMs.max);
  }
}

/** One session from start to stop: why it ended, or the partition at which it stood still. */
async function runSession(options: ConsumeOptions, stopped: Promise<'stopped'>): Promise<{ outcome: Error | string; memberId: string | null }> {
  const { claim, processor, stallMs, presence } = options;
  const over = new AbortController();
  const session = new Session(options);
  presence.events.addEventListener('back', () => session.reclaimAll(), { signal: over.signal });
  session.start(over.signal);
  const watched = watchProgress({ consumer: session, admin: claim.admin, topics: processor.topics, stallMs, blocked: () => presence.away, signal: over.signal });
  const outcome = await Promise.race([session.ended, watched, stopped]).finally(() => over.abort());
  const ended = session.consumer.stop();
  while ((await Promise.race([ended, delay(stopMs, 'late', { ref: false })])) === 'late') {
    if (!presence.away) throw new PipelineError('consumer_stuck', `The consumer did not stop within ${stopMs} ms: a new process is needed`);
  } // a batch that waits for Redis ends when Redis is back
  return { outcome, memberId: session.consumer.memberId };
}

/**
 * Whether another process is in the group under this one's instance id. Who was replaced must not come back: the two would replace
 * each other for ever. Kafka does not always say so itself; a request without the id only learns that its member is unknown.
 */
async function isReplaced({ admin, consumer: { group, instanceId } }: ConsumeOptions, lastMember: string): Promise<boolean> {
  if (instanceId === undefined) return false;
  const members = await admin.memberIds(group).catch(() => []); // Kafka is away: the session that follows waits for it
  const identity = lastMember.slice(0, -uuidLength); // Kafka adds a UUID to the instance id
  return members.some((member) => member !== lastMember && member.length === lastMember.length && member.startsWith(identity));
}
