/**
 * Goal: what crosses a threshold is told once, however much was applied before the watcher looks and however often it looks.
 * Method: the engine and the watcher over a real Redis; a producer that keeps what it is given. Every event has the commit time of its own.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim } from '../../src/consumers/processor.ts';
import { watchAnomalies } from '../../src/consumers/stream/watcher.ts';
import type { SourceRecord } from '../../src/domain/change-event.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { watched } from '../../src/domain/stream/touches.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { aChange, anOrder, anOrderItem, aProduct } from '../builders.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { limits } from '../rule-limits.ts';
import { until } from '../stack.ts';
import { createStreamEngine, emptyEngine, keys } from '../stream-engine.ts';

const [latenessMs, gapMs] = [120_000, 30_000]; // a gap that is shorter than what is looked through at once
const startMs = Date.parse('2026-11-22T12:00:00Z');
const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();
let redis: TestRedis;
let processor: CdcProcessor;
let claims: Map<string, Claim>;
let offset = 0;
let nowMs = startMs + 1_200_000;

before(async () => {
  redis = await startRedis('{test}:');
  processor = createStreamEngine(redis, latenessMs, () => (nowMs += 61_000)); // sets are trimmed once a minute
});
after(() => redis.stop());

async function wipe(): Promise<void> {
  await emptyEngine(redis);
  claims = new Map();
}

async function apply(table: 'products' | 'orders' | 'order_items', events: SourceRecord[]): Promise<void> {
  if (!claims.has(table)) {
    await redis.admin.setFields(keys.owner(tableTopic('shop', table), 0), { epoch: '1' });
    claims.set(table, { topic: tableTopic('shop', table), partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null });
  }
  assert.deepEqual(await processor.apply(claims.get(table)!, events), { result: 'applied' });
}

/** `count` orders of customer 5, or sales of ten units of product 7, one a second, committed as they happen. */
const burst = (table: 'orders' | 'order_items', fromSeconds: number, count: number): SourceRecord[] =>
  Array.from({ length: count }, (_, n) => {
    const [id, when] = [(offset += 1), fromSeconds + n];
    const row = table === 'orders' ? anOrder({ id, customer_id: 5, order_date: at(when) }) : anOrderItem({ id, product_id: 7, quantity: 10, created_at: at(when) });
    return aChange({ table, after: row, offset: id, commitMs: startMs + when * 1000 });
  });
const elsewhere = (seconds: number): SourceRecord => aChange({ table: 'order_items', after: anOrderItem({ id: (offset += 1), product_id: 8, quantity: 1, created_at: at(seconds) }), offset, commitMs: startMs + seconds * 1000 });
const stocks = (seconds: number, ...changes: [stock: number, op?: 'u' | 'r'][]): SourceRecord[] =>
  changes.map(([stock, op = 'u']) => aChange({ table: 'products', op, before: op === 'u' ? aProduct() : null, after: aProduct({ id: 7, stock_quantity: stock }), offset: (offset += 1), commitMs: startMs + seconds * 1000 }));

interface Told {
  type: string;
  alertId: string;
  at?: number;
  resolved?: true;
}

/** What the watcher sends until there is nothing left to look at. */
async function look(failpoint: (name: string) => void = () => undefined, sending = async (): Promise<void> => undefined, store = redis.store): Promise<Told[]> {
  const told: Told[] = [];
  const stop = new AbortController();
  const log = createLogger('test', 'silent');
  const producer = {
    send: async (_topic: string, messages: { value: Buffer | null }[]) => {
      await sending();
      told.push(...messages.map(({ value }) => JSON.parse(value!.toString()) as Told));
      return new Map<number, bigint>();
    },
  };
  const watching = watchAnomalies({ redis: store, keys, producer, topic: 'alerts', limits, gapMs, latenessMs, appliedUpTo: async (sourceMs) => sourceMs, log, failpoint }, stop.signal);
  await until('everything was looked at', async () => (await redis.admin.hashes([keys.of(watched.touched), keys.of(watched.outbox)])).every((hash) => Object.keys(hash).length === 0));
  stop.abort();
  await watching;
  return told;
}
/** Who passes stands until it is opened. */
function aGate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let stands = false;
  const pass = (): Promise<void> => {
    stands = true;
    return opened;
  };
  return { pass, open, reached: () => until('it stands', async () => stands) };
}
const ids = (told: Told[], type: string): string[] => [...new Set(told.filter((one) => one.type === type).map(({ alertId }) => alertId))];

test('a burst is told that lies minutes before the end of its batch', async () => {
  await wipe();
  await apply('order_items', [...burst('order_items', 120, 8), elsewhere(1_200)]);
  await apply('orders', [...burst('orders', 120, limits.bulkOrdersMax + 1), ...burst('orders', 1_200, 1)]);
  const told = await look();
  assert.deepEqual([ids(told, 'rapid_stock_depletion'), ids(told, 'bulk_orders')], [[`7/${startMs + 125_000}`], [`5/${startMs + 130_000}`]]);
});

test('a burst is told although later batches were applied before anybody looked', async () => {
  await wipe();
  await apply('order_items', burst('order_items', 120, 8));
  await apply('order_items', burst('order_items', 1_100, 1));
  await apply('orders', burst('orders', 120, limits.bulkOrdersMax + 1));
  await apply('orders', burst('orders', 1_100, 1));
  const told = await look();
  assert.deepEqual([ids(told, 'rapid_stock_depletion'), ids(told, 'bulk_orders')], [[`7/${startMs + 125_000}`], [`5/${startMs + 130_000}`]]);
});

test('of two bursts within what is looked through at once each is told once, and nothing again', async () => {
  await wipe();
  await apply('orders', burst('orders', 0, limits.bulkOrdersMax + 1));
  assert.deepEqual(ids(await look(), 'bulk_orders'), [`5/${startMs + 10_000}`]);
  await apply('orders', burst('orders', 100, limits.bulkOrdersMax + 2));
  const later = await look();
  assert.deepEqual(later.map((one) => [one.alertId, one.at]), [10, 11].map((second) => [`5/${startMs + 110_000}`, startMs + (100 + second) * 1000]));
  for (const second of [180, 200, 220]) {
    await apply('orders', burst('orders', second, 1));
    assert.deepEqual(await look(), []);
  }
});

test('a stock that is low, restocked and low in one transaction is told as two alerts, the second of them open', async () => {
  await wipe();
  await apply('products', stocks(0, [100]));
  await apply('products', stocks(0, [5], [50], [3]));
  const told = await look();
  assert.deepEqual(told.map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs}`, undefined], [`7/${startMs}`, true], [`7/${startMs + 1}`, undefined]]);
  await apply('products', stocks(9, [60, 'r']));
  assert.deepEqual((await look()).map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs + 1}`, true]]);
});

test('a watcher that stands while another goes on does not take back what that one remembers', async () => {
  await wipe();
  await apply('products', stocks(0, [100], [5]));
  const gate = aGate();
  const first = look(undefined, gate.pass);
  await gate.reached();
  assert.deepEqual(ids(await look(), 'low_stock'), [`7/${startMs}`]);
  await apply('products', stocks(60, [50]));
  assert.deepEqual((await look()).map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs}`, true]]);
  await apply('products', stocks(2_000, [4]));
  assert.deepEqual(ids(await look(), 'low_stock'), [`7/${startMs + 2_000_000}`]);
  gate.open();
  await first;
  await apply('products', stocks(2_100, [50]));
  assert.deepEqual((await look()).map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs + 2_000_000}`, true]]);
});

test('a watcher that stands after it has read what is to be told remembers nothing that another has told and ended', async () => {
  await wipe();
  await apply('products', stocks(0, [100], [5]));
  const gate = aGate();
  const fields: typeof redis.store.fields = async (...of) => {
    await gate.pass();
    return redis.store.fields(...of);
  };
  const first = look(undefined, undefined, { ...redis.store, fields });
  await gate.reached();
  assert.deepEqual(ids(await look(), 'low_stock'), [`7/${startMs}`]);
  await apply('products', stocks(60, [50]));
  assert.deepEqual((await look()).map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs}`, true]]);
  gate.open();
  await first;
  await apply('products', stocks(100, [4]));
  assert.deepEqual(ids(await look(), 'low_stock'), [`7/${startMs + 100_000}`]);
});

test('a restock ends every alert of its product that is open, also one from before the threshold was lowered', async () => {
  await wipe();
  const laterMs = startMs + 2_000_000;
  await redis.admin.setFields(keys.of('stream:episodes'), { 'low_stock 7': JSON.stringify([startMs, laterMs].map((at) => ({ episode: at, lastAt: at, offset: 1 }))) });
  await apply('products', stocks(3_000, [50]));
  assert.deepEqual((await look()).map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs}`, true], [`7/${laterMs}`, true]]);
});

test('a product that is restocked and low again in one transaction stays told, although the watcher dies before it takes them off its list', async () => {
  await wipe();
  await apply('products', stocks(0, [100], [5]));
  assert.deepEqual((await look()).map(({ alertId }) => alertId), [`7/${startMs}`]);
  await apply('products', stocks(60, [10], [9]));
  let dies = true;
  const told = await look((point) => {
    if (point !== 'stream.remembered' || !dies) return;
    dies = false;
    throw new PipelineError('redis_unavailable', 'in the middle of it');
  });
  assert.deepEqual(told.map(({ alertId, resolved }) => [alertId, resolved]), [[`7/${startMs}`, true], [`7/${startMs + 60_000}`, undefined]]);
});
