/**
 * What each rule costs. The stream's processor and its watcher apply the same events in turns with all rules on and with one left
 * out, with all that only it needs; rules that this load does not reach, and those over a closed minute, are called alone.
 */
import { connectRedis } from '../../src/adapters/redis.ts';
import { loadSettings } from '../../src/config.ts';
import { ruleLimits } from '../../src/domain/rules/limits.ts';
import { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim } from '../../src/consumers/processor.ts';
import { createStreamWindows } from '../../src/consumers/stream/windows.ts';
import { watchAnomalies } from '../../src/consumers/stream/watcher.ts';
import { watched } from '../../src/domain/stream/touches.ts';
import { createKeys, streamKeys } from '../../src/domain/keys.ts';
import { geographicAnomaly } from '../../src/domain/rules/geographic-anomaly.ts';
import { lowStock } from '../../src/domain/rules/low-stock.ts';
import { orderRate, type OrderRateState } from '../../src/domain/rules/order-rate.ts';
import { rapidStockDepletion } from '../../src/domain/rules/rapid-stock-depletion.ts';
import { streamTables } from '../../src/domain/stream/tables.ts';
import { minuteMs } from '../../src/domain/stream/minute.ts';
import type { Contributions, Table } from '../../src/domain/tables/table.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { recordsOf } from './fence-cost.ts';
import { median, round, table } from './figures.ts';
import type { Lab, LabRedis } from './lab.ts';
import { cpuSeconds } from './machine.ts';

export interface RuleCostResult {
  redis: string;
  events: number;
  /** CPU of processor, watcher and Redis, µs an event, by what is left out. */
  rounds: Record<string, number>[];
  /** Medians: all rules on, and what leaving a rule out saves, per cent. */
  allUs: number;
  savedPercent: Record<string, number>;
  /** One call of a rule, µs. */
  callUs: Record<string, number>;
}

type Strip = (contributions: Contributions) => Contributions;
const withoutFacts: Strip = ({ counters, members }) => ({ counters, members });
const withoutMembers: Strip = ({ counters, facts }) => ({ counters, members: [], ...(facts && { facts }) });
const variants: Record<string, Strip> = {
  none: (contributions) => contributions,
  high_value_order: withoutFacts,
  bulk_orders: withoutMembers,
  both: (contributions) => withoutFacts(withoutMembers(contributions)),
};

const batchRecords = 1000;
const latenessMs = 120_000;
const spec = 'bench';
const limits = ruleLimits(loadSettings({}, '/nowhere'));

export async function measureRuleCost(lab: Lab, target: LabRedis, events: number, rounds: number): Promise<RuleCostResult> {
  const partitions = recordsOf(events, Date.now() - events);
  const keys = streamKeys(createKeys(''));
  const redis = connectRedis({ host: '127.0.0.1', port: target.port, user: 'default', password: lab.settings.REDIS_PASSWORD, name: 'bench' });
  const run = async (strip: Strip): Promise<number> => {
    for await (const page of redis.scan('*', 10_000)) await redis.delete(page);
    const claims = partitions.map((_, partition): Claim => ({ topic: tableTopic('bench', 'orders'), partition, epoch: 1, spec, offset: null, expect: null }));
    await redis.setFields(keys.pipeline, { spec });
    for (const { topic, partition } of claims) await redis.setFields(keys.owner(topic, partition), { epoch: '1' });
    const tables = streamTables.map((one): Table => ({ ...one, contributions: (row) => strip(one.contributions(row)) }));
    const processor = new CdcProcessor({ redis, keys, tables, status: createReplicaStatus(redis, keys), topicPrefix: 'bench', changesMax: 0, deadLetters: async () => undefined, failpoint: () => undefined, windows: createStreamWindows({ redis, keys, latenessMs, limits }) });
    const over = new AbortController();
    const from = { cpu: process.cpuUsage(), redis: cpuSeconds(target.pid) };
    const watching = watchAnomalies({ redis, keys, producer: { send: async () => new Map<number, bigint>() }, topic: '', limits, gapMs: 300_000, latenessMs, appliedUpTo: async (sourceMs) => sourceMs, log: createLogger('bench', 'error'), failpoint: () => undefined }, over.signal);
    await Promise.all(
      partitions.map(async (records, i) => {
        for (let at = 0; at < records.length; at += batchRecords) await processor.apply(claims[i]!, records.slice(at, at + batchRecords));
      }),
    );
    while ((await redis.size(keys.of(watched.touched))) > 0) await delay(20);
    over.abort();
    await watching;
    const { user, system } = process.cpuUsage(from.cpu);
    return (user + system + (cpuSeconds(target.pid) - from.redis) * 1e6) / events;
  };
  try {
    await run(variants['none']!);
    const done: Record<string, number>[] = [];
    for (let i = 0; i < rounds; i += 1) {
      const sample: Record<string, number> = {};
      for (const [name, strip] of Object.entries(variants)) sample[name] = round(await run(strip), 1);
      done.push(sample);
    }
    const saved = (name: string): number => round(median(done.map((one) => (1 - one[name]! / one['none']!) * 100)), 1);
    const names = Object.keys(variants).filter((name) => name !== 'none');
    return { redis: target.version, events, rounds: done, allUs: median(done.map((one) => one['none']!)), savedPercent: Object.fromEntries(names.map((name) => [name, saved(name)])), callUs: callsOf() };
  } finally {
    await redis.close();
  }
}

function callsOf(): Record<string, number> {
  const nowMs = Date.UTC(2026, 10, 22);
  const sales = Array.from({ length: 40 }, (_, n) => ({ id: String(n), atMs: nowMs + n * 3000, amount: 1 }));
  const byState = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`S${n}`, 1 + (n % 3)]));
  let learnt: OrderRateState | null = null;
  return {
    low_stock: timed((n) => lowStock.evaluate({ productId: '1', atMs: nowMs, before: 20 + (n % 7), after: 19 }, limits)),
    'rapid_stock_depletion (40 sales)': timed(() => rapidStockDepletion.evaluate({ productId: '1', sales }, limits)),
    'geographic_anomaly (20 states)': timed(() => geographicAnomaly.evaluate({ startMs: nowMs, byState }, limits)),
    order_rate: timed((n) => (learnt = orderRate.evaluate({ startMs: nowMs + n * minuteMs, orders: 100 + (n % 13), revenueCents: 1_000_000 + (n % 17) * 999, learnt }, limits).learnt), 100),
  };
}

/** Of the second half, microseconds a call. */
function timed(call: (n: number) => unknown, calls = 2000): number {
  for (let n = 0; n < calls; n += 1) call(n);
  const fromMs = performance.now();
  for (let n = calls; n < 2 * calls; n += 1) call(n);
  return round(((performance.now() - fromMs) / calls) * 1000, 2);
}

export const ruleCostTable = ({ allUs, savedPercent, callUs }: RuleCostResult): string =>
  [
    table(['rules', 'CPU an event (stream and Redis)'], [['all', `${round(allUs, 1)} µs`], ...Object.entries(savedPercent).map(([name, percent]) => [name === 'both' ? 'neither' : `without ${name}`, `${-percent} %`])]),
    table(['one call of', 'µs'], Object.entries(callUs)),
  ].join('\n\n');
