/**
 * Sees a consumer that stands still although work waits: the client is alive, its offsets are not.
 * Progress is judged against the log's end, so an idle topic is never a stall.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import { PipelineError } from '../domain/errors.ts';
import { partitionName } from '../domain/topics.ts';

export interface WatchdogOptions {
  /** Next offset of each partition that should move, by `<topic>-<partition>`. */
  consumer: { readonly positions: ReadonlyMap<string, bigint> };
  admin: Pick<KafkaAdmin, 'offsets'>;
  topics: string[];
  stallMs: number;
  /** True while something else holds the consumer up (Redis is away): then standing still is right. */
  blocked: () => boolean;
  signal: AbortSignal;
}

/** Resolves with the name of a partition that stood still for `stallMs`; rejects when aborted. */
export async function watchProgress({ consumer, admin, topics, stallMs, blocked, signal }: WatchdogOptions): Promise<string> {
  let seen = new Map<string, { position: bigint; sinceMs: number }>();
  for (;;) {
    await delay(stallMs / 4, undefined, { signal });
    const ends = await readEnds(admin, topics);
    const nowMs = performance.now();
    const before = seen;
    seen = new Map();
    if (ends === null || blocked()) continue;
    for (const [name, position] of consumer.positions) {
      if ((ends.get(name) ?? 0n) <= position) continue;
      const last = before.get(name);
      const sinceMs = last?.position === position ? last.sinceMs : nowMs;
      if (nowMs - sinceMs >= stallMs) return name;
      seen.set(name, { position, sinceMs });
    }
  }
}

/** Null while Kafka is away: not a stall, the client waits for it by itself. */
async function readEnds(admin: WatchdogOptions['admin'], topics: string[]): Promise<Map<string, bigint> | null> {
  try {
    const bounds = await Promise.all(topics.map(async (topic) => (await admin.offsets(topic)).map(({ partition, high }) => [partitionName({ topic, partition }), high] as const)));
    return new Map(bounds.flat());
  } catch (error) {
    if (error instanceof PipelineError && error.action === 'retry') return null;
    throw error;
  }
}
