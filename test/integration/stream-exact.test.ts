/**
 * Goal: whatever is delivered, twice, late or by a zombie, each minute holds the sums over the final rows of that minute, each customer
 * the last order; what came out of order is counted once, and nothing is left without an end.
 * Method: the engine with the stream's contributions over a real Redis; random histories against plain loops over the final rows.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import type { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim } from '../../src/consumers/processor.ts';
import { names } from '../../src/domain/keys.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { limits } from '../rule-limits.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { aChange, anOrder } from '../builders.ts';
import { deliverAll } from '../deliver.ts';
import { deliveries, tableNames, truncatedHistory, type History } from '../shop-stream.ts';
import { createStreamEngine, emptyEngine, keys } from '../stream-engine.ts';

const nowMs = Date.parse('2026-11-22T12:00:00Z');
let redis: TestRedis;
let raw: Redis;
let processor: CdcProcessor;

before(async () => {
  redis = await startRedis('{test}:');
  raw = new Redis({ port: redis.port, password: redis.password.reveal() });
  processor = createStreamEngine(redis, 0, () => nowMs);
});
after(async () => {
  raw.disconnect();
  await redis.stop();
});

async function wipe(): Promise<void> {
  await emptyEngine(redis);
  for (const name of tableNames) for (const partition of [0, 1]) await redis.admin.setFields(keys.owner(tableTopic('shop', name), partition), { epoch: '1' });
}

test('any delivery leaves in each minute the sums over the final rows of that minute', async () => {
  await fc.assert(
    fc.asyncProperty(truncatedHistory(60), deliveries, async (shop, plan) => {
      await wipe();
      await deliverAll(processor, 'shop', shop, plan);
      assert.deepEqual(await windows(), expectedWindows(shop));
      assert.deepEqual(await outOfOrder(), expectedOutOfOrder(shop));
      assert.deepEqual(await endless(), []);
    }),
    { numRuns: 60 },
  );
});

test('a customer is looked at from the first order on that a rule could fire for, in whichever batch it comes', async () => {
  await wipe();
  const touched = (): Promise<Record<string, string>> => redis.admin.hash(keys.of('stream:touched'));
  const commitMs = nowMs;
  const orders = Array.from({ length: limits.bulkOrdersMax + 1 }, (_, n) => aChange({ after: anOrder({ id: n + 1, customer_id: 5, order_date: '2026-11-22T11:59:30Z' }), offset: n, commitMs }));
  const claim: Claim = { topic: tableTopic('shop', 'orders'), partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null };
  assert.deepEqual(await processor.apply(claim, orders.slice(0, -1)), { result: 'applied' });
  assert.deepEqual(await touched(), {});
  assert.deepEqual(await processor.apply(claim, orders.slice(-1)), { result: 'applied' });
  assert.deepEqual(await touched(), { 'stream:recent:orders:5': `shop.public.orders-0:${orders.length - 1} ${nowMs - 120_000}` });
});

test('what is dated ahead is kept until its own day is over, whatever comes after it', async () => {
  await wipe();
  const order = (id: number, date: string) => aChange({ after: anOrder({ id, customer_id: 5, order_date: date }), offset: id, commitMs: nowMs });
  const claim: Claim = { topic: tableTopic('shop', 'orders'), partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null };
  for (const one of [order(0, '2026-12-24T08:00:00Z'), order(1, '2026-11-22T08:00:00Z')]) {
    assert.deepEqual(await processor.apply(claim, [one]), { result: 'applied' });
    for (const key of [names.activity('5'), 'stream:recent:orders:5']) {
      const untilMs = nowMs + (await raw.pttl(keys.of(key)));
      assert.ok(untilMs > Date.parse('2026-12-26T00:00:00Z'), `${key} until ${new Date(untilMs).toISOString()}`);
    }
  }
});

/** Field by field; what is 0 is left out. */
async function windows(): Promise<Record<string, bigint>> {
  const found: Record<string, bigint> = {};
  for (const pattern of ['realtime:metrics:2*', 'realtime:metrics:1*', 'realtime:geo:*', 'realtime:product:*', 'realtime:customer:*']) {
    for await (const page of redis.admin.scan(keys.of(pattern))) {
      for (const key of page) {
        for (const [field, value] of Object.entries(await redis.admin.hash(key))) if (value !== '0') found[`${key.slice(keys.prefix.length)} ${field}`] = BigInt(value);
      }
    }
  }
  return found;
}

const counted = ['late', 'ahead'] as const;
const outOfOrder = (): Promise<Record<string, string>[]> => redis.admin.hashes(counted.map((kind) => keys.of(`stream:stats:${kind}`)));

/** Every commit is of one moment in 2025: what happened in 1969 comes late, what happens in 2026 is ahead. */
function expectedOutOfOrder({ log }: History): Record<string, string>[] {
  return counted.map((kind) => {
    const counts: Record<string, number> = {};
    for (const [name, records] of log) {
      for (const { value } of records) {
        const { op, after } = (value === null ? {} : JSON.parse(value.toString())) as { op?: string; after?: Record<string, string | null> };
        if (op !== 'c' || !after || name.startsWith('products')) continue;
        const isLate = (after['order_date'] ?? after['created_at'])! < '2025';
        if (isLate !== (kind === 'late')) continue;
        const table = name.slice(0, -2);
        counts[table] = (counts[table] ?? 0) + 1;
      }
    }
    return Object.fromEntries(Object.entries(counts).map(([table, count]) => [table, String(count)]));
  });
}

/** Windows and sets for rules that have no time to live. */
async function endless(): Promise<string[]> {
  const found = [...(await raw.keys(keys.of('realtime:*'))), ...(await raw.keys(keys.of('stream:recent:*')))];
  const left = await Promise.all(found.map((key) => raw.pttl(key)));
  return found.filter((_, at) => left[at]! < 0);
}

const hourMs = 3_600_000;

function expectedWindows({ rows }: History): Record<string, bigint> {
  const sums: Record<string, bigint> = {};
  const count = (hash: string, field: string, amount: bigint): void => void (sums[`${hash} ${field}`] = (sums[`${hash} ${field}`] ?? 0n) + amount);
  const minuteOf = (text: unknown): string | null => (typeof text === 'string' ? text.slice(0, 16).replace(/-/g, '').replace('T', '_').replace(':', '') : null);
  const isKept = (text: unknown, hours: number): boolean => Date.parse(`${String(text).slice(0, 16)}:00Z`) + hours * hourMs > nowMs;
  for (const row of rows.get('customers')!.values()) {
    const minute = minuteOf(row['created_at']);
    if (minute === null || !isKept(row['created_at'], 24)) continue;
    count(`realtime:metrics:${minute}`, 'new_customers', 1n);
    count(`realtime:geo:customers:${minute}`, String(row['state'] ?? '(none)'), 1n);
  }
  for (const row of rows.get('orders')!.values()) {
    const at = row['order_date'] ?? row['created_at'];
    const minute = minuteOf(at);
    if (minute === null) continue;
    const isCancelled = row['status'] === 'cancelled';
    const cents = BigInt(String(row['total_amount']).replace('.', ''));
    if (isKept(at, 24)) {
      count(`realtime:metrics:${minute}`, 'orders', 1n);
      count(`realtime:metrics:${minute}`, isCancelled ? 'orders_cancelled' : 'revenue_cents', isCancelled ? 1n : cents);
    }
    if (row['customer_id'] === null || Date.parse(`${String(at).slice(0, 10)}T00:00:00Z`) + 48 * hourMs <= nowMs) continue;
    count(`realtime:customer:${String(row['customer_id'])}:activity`, `${minute.slice(0, 8)}:orders`, 1n);
    if (!isCancelled) count(`realtime:customer:${String(row['customer_id'])}:activity`, `${minute.slice(0, 8)}:cents`, cents);
  }
  const placed = [...rows.get('orders')!.values()].map((row) => ({ id: String(row['id']), customer: row['customer_id'], ms: Date.parse(String(row['order_date'] ?? row['created_at'])) }));
  for (const { id, customer, ms } of placed.toSorted((a, b) => a.ms - b.ms || (a.id < b.id ? -1 : 1))) {
    if (customer === null || ms < Date.parse('2026-11-21T00:00:00Z')) continue;
    sums[`realtime:customer:${String(customer)}:activity last_order_id`] = BigInt(id);
    sums[`realtime:customer:${String(customer)}:activity last_order_ms`] = BigInt(ms);
  }
  for (const row of rows.get('order_items')!.values()) {
    const minute = minuteOf(row['created_at']);
    if (minute === null) continue;
    const units = BigInt(Number(row['quantity']));
    if (isKept(row['created_at'], 24)) count(`realtime:metrics:${minute}`, 'units', units);
    if (row['product_id'] !== null && isKept(row['created_at'], 1)) count(`realtime:product:${String(row['product_id'])}:velocity`, minute, units);
  }
  return Object.fromEntries(Object.entries(sums).filter(([, amount]) => amount !== 0n));
}
