/**
 * The floor, as a process of its own: the client of src/adapters/kafka-consumer.ts with the same options and nothing behind
 * it. `parse` reads a topic from its beginning and JSON.parses every value; `see` tells when each order was first seen.
 * Speaks over its channel; ends with it.
 */
import type { EachBatchPayload } from 'kafkajs';
import { createClient } from '../../src/adapters/kafka-client.ts';
import { fetchOptions } from '../../src/adapters/kafka-consumer.ts';

export interface BareTask {
  mode: 'parse' | 'see';
  brokers: string[];
  topic: string;
  /** Events that count as warm-up, and all of them; `parse` only. */
  warmUp: number;
  events: number;
}

export type BareMessage = { at: 'ready' | 'warm' | 'end' } | { at: 'seen'; ids: number[]; us: number[] };

const task = JSON.parse(process.argv[2]!) as BareTask;
const consumer = createClient({ brokers: task.brokers, clientId: 'sluice-bench-bare' }).consumer({
  groupId: `sluice-bench-${process.pid}`,
  sessionTimeout: 10_000,
  heartbeatInterval: 2500,
  allowAutoTopicCreation: false,
  ...fetchOptions,
});
const tell = (message: BareMessage): void => void process.send!(message);

let events = 0;
let lastId: unknown;
function parse({ batch: { messages } }: EachBatchPayload): void {
  const before = events;
  for (const { value } of messages) {
    if (value === null) continue;
    lastId = (JSON.parse(value.toString()) as { op: unknown }).op;
    events += 1;
  }
  if (before < task.warmUp && events >= task.warmUp) tell({ at: 'warm' });
  if (before < task.events && events >= task.events) tell({ at: 'end' });
}

let seen: { ids: number[]; us: number[] } = { ids: [], us: [] };
function see({ batch: { messages } }: EachBatchPayload): void {
  const us = Number(process.hrtime.bigint() / 1000n);
  for (const { key } of messages) {
    seen.ids.push(Number(/\d+/.exec(String(key))?.[0]));
    seen.us.push(us);
  }
}

process.on('disconnect', () => process.exit(0));
await consumer.connect();
await consumer.subscribe({ topics: [task.topic], fromBeginning: true });
consumer.on(consumer.events.GROUP_JOIN, () => tell({ at: 'ready' }));
const handle = task.mode === 'parse' ? parse : see;
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 8,
  eachBatch: async (payload) => handle(payload),
});
if (task.mode === 'see') {
  setInterval(() => {
    tell({ at: 'seen', ...seen });
    seen = { ids: [], us: [] };
  }, 250);
}
export const parsed = (): unknown => lastId; // so that no optimiser may drop the parsing
