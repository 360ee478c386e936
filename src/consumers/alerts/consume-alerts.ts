/**
 * Reads `realtime-alerts` at least once, from the group's committed offset on. A session that crashed is replaced by a new one.
 * Invariant: an offset is committed only after `accept` has said that everything before it is Temporal's.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '../../adapters/kafka-admin.ts';
import { KafkaConsumer, type ConsumerOptions, type PartitionStart } from '../../adapters/kafka-consumer.ts';
import { PipelineError } from '../../domain/errors.ts';
import type { PartitionRef } from '../../domain/topics.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { watchProgress } from '../watchdog.ts';
import type { AcceptAlerts } from './accept-alerts.ts';

export interface ConsumeAlertsOptions {
  consumer: ConsumerOptions;
  admin: Pick<KafkaAdmin, 'committed' | 'offsets'>;
  accept: AcceptAlerts;
  log: Logger;
  stallMs: number;
  /** Called whenever the assigned partitions have their start. */
  ready: () => void;
}

const backoffMs = { first: 250, max: 5000 };
const heldMs = 30_000;

/** Resolves after `signal`; throws PipelineError when a human or a new process is needed. */
export async function consumeAlerts(options: ConsumeAlertsOptions, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<null>((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  let waitMs = backoffMs.first;
  while (!signal.aborted) {
    const startedMs = performance.now();
    const failure = await runSession(options, stopped);
    if (failure === null) return;
    if (!(failure instanceof PipelineError) || failure.action !== 'retry') throw failure;
    if (performance.now() - startedMs > heldMs) waitMs = backoffMs.first;
    options.log.warn({ reason: failure.message, retryInMs: waitMs }, 'consumer session ended; waiting');
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    waitMs = Math.min(waitMs * 2, backoffMs.max);
  }
}

/** Why it ended; null when it was stopped. One that stands still ends the process: it may not even stop. */
async function runSession({ consumer: settings, admin, accept, log, stallMs, ready }: ConsumeAlertsOptions, stopped: Promise<null>): Promise<Error | null> {
  let crashed: (reason: Error) => void = () => undefined;
  const ended = new Promise<Error>((resolve) => (crashed = resolve));
  const claim = async (refs: PartitionRef[]): Promise<PartitionStart[]> => {
    const starts = await startsOf(admin, settings.group, refs);
    log.info({ partitions: starts.length }, 'partitions assigned');
    ready();
    return starts;
  };
  let inWork = 0; // what is in work waits for Temporal or Kafka by itself
  const process: AcceptAlerts = async (batch) => {
    inWork += 1;
    return accept(batch).finally(() => (inWork -= 1));
  };
  const consumer = new KafkaConsumer(settings, { claim, process, crashed });
  consumer.start().catch(crashed);
  const over = new AbortController();
  const watched = watchProgress({ consumer, admin, topics: settings.topics, stallMs, blocked: () => inWork > 0, signal: over.signal });
  const outcome = await Promise.race([ended, stopped, watched]).finally(() => over.abort());
  if (typeof outcome === 'string') throw new PipelineError('consumer_stuck', `The consumer stood still for ${stallMs} ms at ${outcome}: a new process is needed`);
  await consumer.stop();
  return outcome;
}

/** The committed offset; the log's beginning when there is none, or when what it says is gone. */
async function startsOf(admin: ConsumeAlertsOptions['admin'], group: string, refs: PartitionRef[]): Promise<PartitionStart[]> {
  const starts: PartitionStart[] = [];
  for (const topic of new Set(refs.map((ref) => ref.topic))) {
    const [committed, bounds] = [await admin.committed(group, topic), await admin.offsets(topic)];
    for (const { partition } of refs.filter((ref) => ref.topic === topic)) {
      const { low = 0n, high = 0n } = bounds.find((one) => one.partition === partition) ?? {};
      const offset = committed.get(partition) ?? low;
      starts.push({ topic, partition, offset: offset < low || offset > high ? low : offset });
    }
  }
  return starts;
}
