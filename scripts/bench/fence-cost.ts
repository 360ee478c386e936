/**
 * Part d: what fence and versions cost. The real processor applies the same events twice, in turns: as it is, and with a store
 * that takes every expectation and every fence write out of the script's arguments and asks for no state beside the rows.
 */
import { connectRedis, type RedisStore } from '../../src/adapters/redis.ts';
import { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim } from '../../src/consumers/processor.ts';
import type { SourceRecord } from '../../src/domain/change-event.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { median, round, table } from './figures.ts';
import type { Lab, LabRedis } from './lab.ts';
import { cpuSeconds } from './machine.ts';
import { orderEvents } from './order-events.ts';

interface Sample {
  /** CPU of consumer code and Redis, µs an event. */
  us: number;
  seconds: number;
}

export interface FenceCostResult {
  redis: string;
  events: number;
  rounds: { withFence: Sample; without: Sample }[];
  /** Median over the rounds of (with − without) / without. */
  costPercent: number;
  wallPercent: number;
}

const batchRecords = 1000;
const spec = 'bench';

export async function measureFenceCost(lab: Lab, target: LabRedis, events: number, rounds: number): Promise<FenceCostResult> {
  const partitions = recordsOf(events);
  const keys = createKeys('');
  const store = connectRedis({ host: '127.0.0.1', port: target.port, user: 'default', password: lab.settings.REDIS_PASSWORD, name: 'bench' });
  const run = async (variant: RedisStore): Promise<Sample> => {
    for await (const page of store.scan('*', 10_000)) await store.delete(page);
    const claims = partitions.map((_, partition): Claim => ({ topic: tableTopic('bench', 'orders'), partition, epoch: 1, spec, offset: null, expect: null }));
    await store.setFields(keys.pipeline, { spec });
    for (const { topic, partition } of claims) await store.setFields(keys.owner(topic, partition), { epoch: '1' });
    const processor = new CdcProcessor({ redis: variant, keys, tables, status: createReplicaStatus(store, keys), topicPrefix: 'bench', changesMax: 100, deadLetters: async () => undefined, failpoint: () => undefined });
    const from = { cpu: process.cpuUsage(), redis: cpuSeconds(target.pid), ms: performance.now() };
    await Promise.all(
      partitions.map(async (records, i) => {
        for (let at = 0; at < records.length; at += batchRecords) {
          const applied = await processor.apply(claims[i]!, records.slice(at, at + batchRecords));
          if (applied.result !== 'applied') throw new Error(`a batch was ${applied.result}`);
        }
      }),
    );
    const { user, system } = process.cpuUsage(from.cpu);
    return { us: (user + system + (cpuSeconds(target.pid) - from.redis) * 1e6) / events, seconds: (performance.now() - from.ms) / 1000 };
  };
  try {
    await run(store);
    const done: FenceCostResult['rounds'] = [];
    for (let i = 0; i < rounds; i += 1) done.push({ withFence: await run(store), without: await run(withoutFence(store)) });
    const percent = (value: (sample: Sample) => number): number => round(median(done.map(({ withFence, without }) => (value(withFence) / value(without) - 1) * 100)), 1);
    return { redis: target.version, events, rounds: done, costPercent: percent(({ us }) => us), wallPercent: percent(({ seconds }) => seconds) };
  } finally {
    await store.close();
  }
}

/** The same writes: hold and state are not asked for, expectations and the fence's own fields are cut out of commit.lua's two streams. */
const withoutFence = (store: RedisStore): RedisStore => ({
  ...store,
  strings: async ([, , ...rows]) => [null, null, ...(await store.strings(rows))],
  commit: (keys, args) => store.commit(keys.slice(4, -2), [0, 0, ...args.slice(8, -5), 0]),
});

/** Four partitions. */
export function recordsOf(events: number, firstMs?: number): SourceRecord[][] {
  const partitions: SourceRecord[][] = [[], [], [], []];
  const source = orderEvents(firstMs);
  for (let made = 0; made < events; ) {
    const { key, value } = source.next().value!;
    const records = partitions[Number(/\d+/.exec(key)![0]) % partitions.length]!;
    records.push({ offset: BigInt(records.length), timestampMs: '1763805600000', key: Buffer.from(key), value: value === null ? null : Buffer.from(value) });
    if (value !== null) made += 1;
  }
  return partitions;
}

export const fenceCostTable = ({ redis, costPercent, wallPercent }: FenceCostResult): string =>
  table(['', 'more CPU (consumer + Redis)', 'more time'], [[redis, `${costPercent} %`, `${wallPercent} %`]]);
