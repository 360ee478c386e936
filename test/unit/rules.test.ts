/** Goal: each rule at its threshold, one beside it, and with what a real source may hold. What holds for any input: test/property. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadSettings, settings } from '../../src/config.ts';
import { ruleLimits } from '../../src/domain/rules/limits.ts';
import { joinEpisode, type Episode } from '../../src/domain/rules/episode.ts';
import { orderRate, type OrderRateState } from '../../src/domain/rules/order-rate.ts';
import { rules } from '../../src/domain/rules/registry.ts';
import { money, type Finding } from '../../src/domain/rules/rule.ts';
import type { SlidingEvent } from '../../src/domain/rules/sliding-window.ts';
import { chance } from '../labelled-series.ts';
import { limits } from '../rule-limits.ts';

const { highValueOrder, bulkOrders, rapidStockDepletion, lowStock, geographicAnomaly } = rules;
const evenly = (count: number, fromMs: number, toMs: number, amount = 1): SlidingEvent[] =>
  Array.from({ length: count }, (_, i) => ({ id: String(i), atMs: fromMs + ((toMs - fromMs) * i) / (count - 1), amount }));

test('an order of a cent more than the threshold is told, one of exactly the threshold is not', () => {
  const order = (totalCents: number | bigint) => highValueOrder.evaluate({ orderId: '17', atMs: 5, totalCents }, limits);
  assert.equal(order(100_000), null);
  assert.deepEqual(order(100_001), { atMs: 5, entity: '17', value: '1000.01', threshold: '1000.00', windowMs: null });
  assert.equal(order(2n ** 63n)?.value, '92233720368547758.08');
});

test('eleven orders between second 5 and second 65 are caught, ten are not, and eleven over a millisecond more are not', () => {
  const told = (orders: SlidingEvent[]) => bulkOrders.evaluate({ customerId: '3', orders }, limits);
  assert.deepEqual(told(evenly(11, 5_000, 65_000)), [{ atMs: 65_000, entity: '3', value: '11 orders', threshold: '10 orders', windowMs: 60_000 }]);
  assert.deepEqual(told(evenly(10, 5_000, 65_000)), []);
  assert.deepEqual(told(evenly(11, 5_000, 65_001)), []);
  assert.deepEqual(told([]), []);
});

test('fifty-one units within a minute are told, fifty are not, in however many orders', () => {
  const told = (sales: SlidingEvent[]) => rapidStockDepletion.evaluate({ productId: '3', sales }, limits);
  assert.deepEqual(told(evenly(5, 0, 60_000, 10)), []);
  assert.equal(told([...evenly(5, 0, 60_000, 10), { id: 'x', atMs: 60_000, amount: 1 }])[0]?.value, '51 units');
  assert.equal(told([{ id: 'x', atMs: 9, amount: 51 }])[0]?.atMs, 9);
});

test('low stock fires on the way from ten to nine, from unknown, not again below, and resolves at ten', () => {
  const change = (before: number | null, after: number | null) => lowStock.evaluate({ productId: '3', atMs: 1, before, after }, limits)?.kind ?? null;
  assert.equal(change(10, 9), 'fired');
  assert.equal(change(null, 9), 'fired');
  assert.equal(change(9, 8), null);
  assert.equal(change(8, 9), null);
  assert.equal(change(9, 10), 'resolved');
  assert.equal(change(null, 10), 'resolved');
  assert.equal(change(500, 10), null);
  assert.equal(change(500, -1), 'fired');
  assert.equal(change(9, null), null);
});

test('geography: more than eighty percent of at least six', () => {
  const told = (byState: Record<string, number>) => geographicAnomaly.evaluate({ startMs: 60_000, byState }, limits);
  assert.deepEqual(told({ TX: 6 }), { atMs: 60_000, entity: 'TX', value: '6 of 6 new customers', threshold: '80 %', windowMs: 60_000 });
  assert.equal(told({ TX: 5 }), null);
  assert.equal(told({ TX: 8, NY: 2 }), null);
  assert.equal(told({ TX: 9, NY: 2 })?.entity, 'TX');
  assert.equal(told({ '': 10 }), null);
  assert.equal(told({}), null);
});

/** Minutes of a shop with some thirty orders a minute, then the given ones. */
function minutesOf(last: { orders: number; revenueCents: number }[]): Finding[][] {
  const random = chance(5);
  const usual = Array.from({ length: 180 }, () => random.poisson(30)).map((orders) => ({ orders, revenueCents: Math.round(orders * 5_000 * (1 + 0.1 * random.normal())) }));
  let learnt: OrderRateState | null = null;
  return [...usual, ...last].map((minute, i) => {
    const outcome = orderRate.evaluate({ startMs: i * 60_000, ...minute, learnt }, limits);
    learnt = JSON.parse(JSON.stringify(outcome.learnt)) as OrderRateState;
    return outcome.findings;
  });
}

test('an ordinary shop is not told, from its first minute on', () => {
  assert.deepEqual(minutesOf([]).flat(), []);
});

test('silence is told as such, once the detector is warm', () => {
  const findings = minutesOf([{ orders: 0, revenueCents: 0 }]).at(-1)!;
  const [found] = findings;
  assert.deepEqual([found?.entity, found?.value, found?.atMs], ['orders', 'silence', 180 * 60_000]);
  assert.deepEqual(orderRate.evaluate({ startMs: 0, orders: 0, revenueCents: 0, learnt: null }, limits).findings, []);
});

test('a stack that starts empty and within a minute tells of a silence as soon as it is warm: what came before was no minute of the shop', () => {
  const { orderRateWarmMinutes } = limits;
  const minutes = [0, 0, 9, ...Array.from({ length: orderRateWarmMinutes + 1 }, (_, i) => 105 + (i % 5)), 0];
  let learnt: OrderRateState | null = null;
  const told = minutes.map((orders, i) => {
    const outcome = orderRate.evaluate({ startMs: i * 60_000, orders, revenueCents: orders * 5_000, learnt }, limits);
    ({ learnt } = outcome);
    return outcome.findings.some(({ value }) => value === 'silence');
  });
  assert.deepEqual(told.map((isTold, i) => (isTold ? i : -1)).filter((i) => i >= 0), [minutes.length - 1]);
});

test('ten times the orders, or ten times the revenue alone, is told', () => {
  assert.deepEqual(minutesOf([{ orders: 300, revenueCents: 1_500_000 }]).at(-1)!.map(({ entity }) => entity), ['orders', 'revenue']);
  assert.deepEqual(minutesOf([{ orders: 30, revenueCents: 1_500_000 }]).at(-1)!.map(({ entity }) => entity), ['revenue']);
});

test('a night shop that never sold anything is not told for its first order', () => {
  let learnt: OrderRateState | null = null;
  for (let minute = 0; minute <= 300; minute += 1) {
    const outcome = orderRate.evaluate({ startMs: minute * 60_000, orders: minute === 300 ? 1 : 0, revenueCents: 0, learnt }, limits);
    assert.deepEqual(outcome.findings, []);
    learnt = outcome.learnt;
  }
});

test('a crossing within the gap joins the episode, also one that arrives late; beyond it begins another', () => {
  const join = (at: number, ...known: Episode[]): [Episode, boolean] => {
    const { episode, isNews } = joinEpisode(known, at, 300);
    return [episode, isNews];
  };
  const [earlier, later] = [{ episode: 1000, lastAt: 1500 }, { episode: 2000, lastAt: 2100 }];
  assert.deepEqual(join(1000), [{ episode: 1000, lastAt: 1000 }, true]);
  assert.deepEqual(join(1800, earlier), [{ episode: 1000, lastAt: 1800 }, true]);
  assert.deepEqual(join(1801, earlier), [{ episode: 1801, lastAt: 1801 }, true]);
  assert.deepEqual(join(700, earlier), [earlier, false]);
  assert.deepEqual(join(699, earlier), [{ episode: 699, lastAt: 699 }, true]);
  assert.deepEqual(join(1500, earlier, later), [earlier, false], 'of two it is the one it lies in');
  assert.deepEqual(join(2400, earlier, later), [{ episode: 2000, lastAt: 2400 }, true]);
});

test('thresholds are exact cents and come from the settings', () => {
  const cents = (text: string) => ruleLimits(loadSettings({ HIGH_VALUE_ORDER_THRESHOLD: text }, '/nowhere')).highValueCents;
  assert.deepEqual(['1000', '1000.1', '0.29', '9999999999.99'].map(cents), [100_000, 100_010, 29, 999_999_999_999]);
  assert.throws(() => cents('1.234'), /HIGH_VALUE_ORDER_THRESHOLD/);
  assert.deepEqual([money(5), money(-12_345), money(0)], ['0.05', '-123.45', '0.00']);
});

test('every setting that a rule names exists, and docs/rules.md is what the registry prints', () => {
  for (const { settings: names } of Object.values(rules)) for (const name of names) assert.ok(name in settings, name);
  const printed = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/print-rules.ts'], { encoding: 'utf8' });
  assert.equal(readFileSync('docs/rules.md', 'utf8'), printed.stdout, 'run: node --import tsx scripts/print-rules.ts > docs/rules.md');
});
