/** Part e: the consumer's resident memory while it applies millions of events, written while it reads. */
import { setTimeout as delay } from 'node:timers/promises';
import { fifths, round, table } from './figures.ts';
import type { Lab, LabRedis } from './lab.ts';
import { rssBytes } from './machine.ts';
import { orderEvents } from './order-events.ts';
import { startConsumer } from './runs.ts';
import { fillTopic } from './topic.ts';

export interface MemoryResult {
  events: number;
  /** One sample a second. */
  samples: { seconds: number; rssMb: number }[];
  maxMb: number;
  fifthsMb: number[];
}

const topicPrefix = 'memory';
const sampleMs = 1000;

export async function measureMemory(lab: Lab, target: LabRedis, events: number): Promise<MemoryResult> {
  await lab.addTopics(topicPrefix);
  const consumer = await startConsumer(lab, target, topicPrefix);
  const done = new AbortController();
  const samples: MemoryResult['samples'] = [];
  const sample = async (): Promise<void> => {
    for (const startMs = performance.now(); !done.signal.aborted; await delay(sampleMs)) {
      samples.push({ seconds: round((performance.now() - startMs) / 1000), rssMb: round(rssBytes(consumer.pid) / 1e6) });
    }
  };
  try {
    const sampling = sample();
    await fillTopic(lab.kafka, `${topicPrefix}.public.orders`, orderEvents(), events);
    await consumer.applied(events);
    done.abort();
    await sampling;
  } finally {
    done.abort();
    await consumer.stop();
  }
  const sizes = samples.map(({ rssMb }) => rssMb);
  return { events, samples, maxMb: Math.max(...sizes), fifthsMb: fifths(sizes) };
}

export const memoryTable = ({ events, maxMb, fifthsMb }: MemoryResult): string =>
  table(['events', '1st fifth', '2nd', '3rd', '4th', '5th', 'max (MB)'], [[events, ...fifthsMb, maxMb]]);
