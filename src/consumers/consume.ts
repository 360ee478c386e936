/**
 * Keeps a consumer group's work going until told to stop: a crashed or silent session is replaced by a new one.
 * Invariant: the process ends only for what a new session cannot mend (another pipeline's prefix, a session that never moves).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { PipelineError } from '../domain/errors.ts';
import { Session, type RunLoopOptions } from './run-loop.ts';
import { watchProgress } from './watchdog.ts';

export interface ConsumeOptions extends RunLoopOptions {
  stallMs: number;
  blocked: () => boolean;
}

const backoffMs = { first: 500, max: 10_000 };
const stallsMax = 3;

/** Resolves after `signal`; throws PipelineError when a human or a new process is needed. */
export async function consume(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const { log, stallMs, blocked, claim, processor } = options;
  let waitMs = backoffMs.first;
  let stalls = 0;
  while (!signal.aborted) {
    const over = new AbortController();
    const stop = new Promise<'stop'>((resolve) => signal.addEventListener('abort', () => resolve('stop'), { once: true }));
    const session = new Session(options);
    const { consumer, ended } = session;
    session.start();
    const watched = { consumer, admin: claim.admin, topics: processor.topics, stallMs, blocked, signal: over.signal };
    const startedMs = performance.now();
    const outcome = await Promise.race([ended, watchProgress(watched), stop]);
    over.abort();
    await consumer.stop();
    if (outcome === 'stop') return;
    if (outcome instanceof PipelineError && outcome.action !== 'retry') throw outcome;
    if (typeof outcome === 'string') {
      stalls += 1;
      log.error({ partition: outcome, stallMs, stalls }, 'consumer stood still; making a new one');
      if (stalls >= stallsMax) throw new PipelineError('kafka_unavailable', `The consumer stood still ${stalls} times at ${outcome}; giving up so that a new process starts`);
      continue;
    }
    if (performance.now() - startedMs > stallMs) waitMs = backoffMs.first;
    log.warn({ reason: outcome.message, retryInMs: waitMs }, 'consumer session ended; waiting');
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, backoffMs.max);
  }
}
