/**
 * Goal: each closed minute is judged and learnt once and in order, whoever else judges, and not before all of it is applied.
 * Method: the processor and the judging over a real Redis, against a plain loop over the same minutes; the topic's ends are given by
 * hand, since Kafka Connect cannot be away for minutes in a short test.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim } from '../../src/consumers/processor.ts';
import { judgeClosedMinutes, type ClosedMinutesDeps } from '../../src/consumers/stream/closed-minutes.ts';
import { createProgress } from '../../src/consumers/stream/progress.ts';
import { names } from '../../src/domain/keys.ts';
import { orderRate, type OrderRateState } from '../../src/domain/rules/order-rate.ts';
import { minuteMs, minuteOf } from '../../src/domain/stream/minute.ts';
import { heartbeatTopic, tableTopic } from '../../src/domain/topics.ts';
import { aChange, aCustomer, anOrder } from '../builders.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { limits } from '../rule-limits.ts';
import { createStreamEngine, emptyEngine, keys } from '../stream-engine.ts';

const firstMs = Date.parse('2026-11-22T10:00:00Z');
const latenessMs = 1000;
/** Orders of the first minute, the second and so on. */
const ordersBy = [3, 5, 2, 4, 6, 1, 3, 2, 5, 4, 7];
const topic = tableTopic('shop', 'orders');
let redis: TestRedis;
before(async () => {
  redis = await startRedis('{test}:');
});
after(() => redis.stop());
beforeEach(async () => {
  await emptyEngine(redis);
  for (const of of [topic, heartbeatTopic('shop')]) await redis.admin.setFields(keys.owner(of, 0), { epoch: '1' });
});

type Publish = (...args: Parameters<Parameters<typeof judgeClosedMinutes>[1]>) => Promise<void>;
const judge = (appliedUpTo: ClosedMinutesDeps['appliedUpTo'] = async (sourceMs) => sourceMs, publish: Publish = async () => undefined): Promise<void> =>
  judgeClosedMinutes({ redis: redis.store, keys, limits, latenessMs, appliedUpTo }, async (drafts) => {
    await publish(drafts);
    return true;
  });
/** Enough has passed for so many minutes to be closed. */
const pass = (minutes: number): Promise<unknown> => redis.store.set(keys.of('stream:clock'), String(firstMs + minutes * minuteMs + latenessMs));
const fillWindows = async (): Promise<void> => {
  for (const [n, orders] of ordersBy.entries()) await redis.admin.setFields(keys.of(names.window(minuteOf(firstMs + n * minuteMs)!)), { orders: String(orders), revenue_cents: String(orders * 1000) });
};

async function assertJudged(minutes: number): Promise<void> {
  const [closed, learnt, latest] = await redis.admin.strings([keys.of('stream:closed'), keys.of('stream:learnt'), keys.windowLatest]);
  const expected = ordersBy.slice(0, minutes).reduce<OrderRateState | null>((before, orders, n) => orderRate.evaluate({ startMs: firstMs + n * minuteMs, orders, revenueCents: orders * 1000, learnt: before }, limits).learnt, null);
  assert.deepEqual([Number(closed) - firstMs, latest], [minutes * minuteMs, minuteOf(firstMs + (minutes - 1) * minuteMs)]);
  assert.deepEqual(JSON.parse(learnt!), JSON.parse(JSON.stringify(expected)));
}

const createProcessor = (): CdcProcessor => createStreamEngine(redis, latenessMs, () => firstMs);
const claimOf = (of: string): Claim => ({ topic: of, partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null });

async function judgeFirst(): Promise<void> {
  await pass(0);
  await judge();
  await fillWindows();
  await pass(1);
}

test('who freezes before it judges and wakes after another has judged ten minutes judges none of them again', async () => {
  await judgeFirst();
  let told = 0;
  const freeze = async (sourceMs: number): Promise<number> => {
    await pass(11);
    await judge();
    return sourceMs;
  };
  await judge(freeze, async () => void (told += 1));
  await assertJudged(11);
  assert.equal(told, 0);
});

test('who is overtaken while it publishes a minute leaves it and those after it to the other', async () => {
  await judgeFirst();
  await pass(3);
  let told = 0;
  await judge(undefined, async () => {
    told += 1;
    if (told > 1) return;
    await pass(11);
    await judge();
  });
  await assertJudged(11);
  assert.equal(told, 1);
});

test('who freezes before it notes the first minute of all does not take it back later', async () => {
  await pass(0);
  await judge(async (sourceMs) => {
    await judgeFirst();
    await judge();
    return sourceMs;
  });
  await assertJudged(1);
});

test('minutes during which Kafka Connect was away are judged when what happened in them is applied', async () => {
  const processor = createProcessor();
  const [orders, heartbeats] = [claimOf(topic), claimOf(heartbeatTopic('shop'))];
  const beat = async (offset: number, ms: number): Promise<void> => {
    await processor.apply(heartbeats, [aChange({ table: 'heartbeat', after: { id: 1, ts: new Date(ms).toISOString() }, offset, commitMs: ms })]);
  };
  const resumedMs = firstMs + ordersBy.length * minuteMs + 2 * latenessMs;
  const placed = ordersBy.flatMap((count, n) => Array.from({ length: count }, () => firstMs + n * minuteMs));
  const backlog = placed.map((ms, n) => ({ ...aChange({ after: anOrder({ id: n + 1, order_date: new Date(ms).toISOString() }), offset: n, commitMs: ms }), timestampMs: String(resumedMs + 1000) }));
  let end = 0;
  const offsets = async () => [{ partition: 0, low: 0n, high: BigInt(end) }];
  const appliedUpTo = createProgress({ admin: { offsets }, redis: redis.store, keys, topics: [topic] });
  const closed = async (): Promise<string | null | undefined> => (await redis.admin.strings([keys.of('stream:closed')]))[0];
  const apply = async (records: typeof backlog): Promise<void> => {
    assert.deepEqual(await processor.apply(orders, records), { result: 'applied' });
    await judge(appliedUpTo);
  };

  await beat(0, firstMs + latenessMs);
  await judge(appliedUpTo);
  assert.equal(await closed(), String(firstMs));
  end = backlog.length;
  await beat(1, resumedMs);
  await apply(backlog.slice(0, 1));
  assert.equal(await closed(), String(firstMs), 'after one record of the backlog');
  end += 20; // the shop goes on
  await apply(backlog.slice(1, -1));
  assert.equal(await closed(), String(firstMs), 'before the last record of the backlog');
  await apply(backlog.slice(-1));
  await assertJudged(ordersBy.length);
});

test('a stream that stays a minute and a half behind has its minutes judged all the same', async () => {
  await pass(0);
  await judge();
  await fillWindows();
  let end = 0;
  const appliedUpTo = createProgress({ admin: { offsets: async () => [{ partition: 0, low: 0n, high: BigInt(end) }] }, redis: redis.store, keys, topics: [topic] });
  for (let minute = 1; minute <= ordersBy.length; minute += 1) {
    end = 10 * minute;
    await pass(minute);
    for (const behind of [15, 11]) {
      await redis.admin.set(keys.offset(topic, 0), String(Math.max(0, end - behind)));
      await judge(appliedUpTo);
    }
  }
  await assertJudged(ordersBy.length - 2);
});

test('a moment that was reached is not, once Redis was emptied and everything is read again', async () => {
  let end = 10;
  const appliedUpTo = createProgress({ admin: { offsets: async () => [{ partition: 0, low: 0n, high: BigInt(end) }] }, redis: redis.store, keys, topics: [topic] });
  const fence = (offset: number): Promise<unknown> => redis.admin.set(keys.offset(topic, 0), String(offset));
  await fence(10);
  assert.equal(await appliedUpTo(firstMs), firstMs);
  await redis.admin.delete([keys.offset(topic, 0)]);
  assert.equal(await appliedUpTo(firstMs - minuteMs), -Infinity);
  end = 4; // and the topic was made anew
  assert.equal(await appliedUpTo(firstMs + minuteMs), -Infinity);
  await fence(4);
  assert.equal(await appliedUpTo(firstMs + minuteMs), firstMs + minuteMs);
});

test('customers that a snapshot reads are in their minute, and are no news of a state', async () => {
  const customers = claimOf(tableTopic('shop', 'customers'));
  await redis.admin.setFields(keys.owner(customers.topic, 0), { epoch: '1' });
  const processor = createProcessor();
  let offset = 0;
  const come = (op: 'r' | 'c', count: number, state: string, minute: number) =>
    Array.from({ length: count }, () => {
      offset += 1;
      return aChange({ table: 'customers', op, after: aCustomer({ id: offset, state, created_at: new Date(firstMs + minute * minuteMs).toISOString() }), offset, commitMs: firstMs + minute * minuteMs });
    });
  await pass(0);
  await judge();
  const again = aChange({ table: 'customers', op: 'r', after: aCustomer({ id: 10, state: 'NY', created_at: new Date(firstMs).toISOString() }), offset: 100, commitMs: firstMs });
  const records = [...come('r', 9, 'TX', 0), ...come('c', 6, 'NY', 0), ...come('r', 20, 'NY', 1), ...come('c', 7, 'TX', 1), ...come('r', 9, 'TX', 2), ...come('c', 1, 'constructor', 2), again];
  assert.deepEqual(await processor.apply(customers, records), { result: 'applied' });
  await pass(3);
  const told: string[] = [];
  await judge(undefined, async (drafts) => void told.push(...drafts.filter(({ type }) => type === 'geographic_anomaly').map(({ finding }) => `${finding.entity} ${finding.value} ${(finding.atMs - firstMs) / minuteMs}`)));
  assert.deepEqual(told, ['NY 6 of 6 new customers 0', 'TX 7 of 7 new customers 1'], 'a row that is read again was known, and is still new');
  assert.deepEqual(await redis.admin.hash(keys.of(names.newCustomers(minuteOf(firstMs)!))), { TX: '9', NY: '6' });
});
