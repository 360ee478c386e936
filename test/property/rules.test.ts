/** Goal: the rules are exact. Method: brute force over every window and every order of arrival, on small random inputs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinEpisode, type Episode } from '../../src/domain/rules/episode.ts';
import { geographicAnomaly } from '../../src/domain/rules/geographic-anomaly.ts';
import { lowStock } from '../../src/domain/rules/low-stock.ts';
import { rules } from '../../src/domain/rules/registry.ts';
import { crossings, type SlidingEvent } from '../../src/domain/rules/sliding-window.ts';
import { limits } from '../rule-limits.ts';

/** Times crowd around whole windows, where the edges are. */
const timeMs = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 0, max: 6 }).chain((k) => fc.integer({ min: -2, max: 2 }).map((off) => Math.max(0, k * 30_000 + off))));
const events = fc
  .array(fc.record({ atMs: timeMs, amount: fc.integer({ min: 0, max: 9 }) }), { maxLength: 25 })
  .map((list): SlidingEvent[] => list.sort((a, b) => a.atMs - b.atMs).map((event, i) => ({ ...event, id: String(i) })));
const windowMs = 60_000;

test('a sum is over the threshold in some window if and only if there is a crossing, and the first crossing is where it first is', () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 0, max: 60 }), (list, threshold) => {
      /** Earliest time at which some window of all windows, begun at any event, holds too much. */
      const firsts = list.flatMap((start, i) => {
        let sum = 0;
        const full = list.slice(i).find((event) => event.atMs <= start.atMs + windowMs && (sum += event.amount) > threshold);
        return full ? [full.atMs] : [];
      });
      const found = crossings(list, threshold, windowMs);
      assert.equal(found[0]?.atMs, firsts.length === 0 ? undefined : Math.min(...firsts));
      for (const { atMs, total } of found) assert.ok(total > threshold && list.some((event) => event.atMs === atMs));
    }),
  );
});

test('shifting all events in time shifts the crossings and nothing else', () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 0, max: 30 }), fc.integer({ min: -1e9, max: 1e12 }), (list, threshold, byMs) => {
      const shifted = crossings(list.map((event) => ({ ...event, atMs: event.atMs + byMs })), threshold, windowMs);
      assert.deepEqual(shifted.map(({ atMs, total }) => ({ atMs: atMs - byMs, total })), crossings(list, threshold, windowMs));
    }),
  );
});

test('orders fire beyond ten and items beyond fifty units, wherever the minute lies', () => {
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 9 }), fc.array(fc.integer({ min: 0, max: windowMs }), { minLength: 1, maxLength: 15 }), (startMs, offsets) => {
      const list = offsets.sort((a, b) => a - b).map((offset, i) => ({ id: String(i), atMs: startMs + offset, amount: 1 }));
      assert.equal(rules.bulkOrders.evaluate({ customerId: '7', orders: list }, limits)[0]?.atMs, list[10]?.atMs);
      const sales = list.map((event) => ({ ...event, amount: 10 }));
      assert.equal(rules.rapidStockDepletion.evaluate({ productId: '7', sales }, limits)[0]?.atMs, list[5]?.atMs);
    }),
  );
});

test('whatever way the stock takes, fired and resolved take turns', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5, max: 25 }), { maxLength: 40 }), (levels) => {
      let open = false;
      let before: number | null = null;
      levels.forEach((after, i) => {
        const outcome = lowStock.evaluate({ productId: '1', atMs: i, before, after }, limits);
        if (outcome?.kind === 'fired') assert.equal(open, false);
        if (outcome?.kind === 'fired') open = true;
        if (outcome?.kind === 'resolved') open = false;
        assert.equal(open, after < 10);
        before = after;
      });
    }),
  );
});

test('one state has more than the share, counted by hand, or nothing is said', () => {
  const byState = fc.dictionary(fc.constantFrom('TX', 'NY', 'CA', ''), fc.integer({ min: 0, max: 40 }), { noNullPrototype: true });
  fc.assert(
    fc.property(byState, (customers) => {
      const total = Object.values(customers).reduce((sum, count) => sum + count, 0);
      const over = total < 6 ? [] : Object.keys(customers).filter((state) => state !== '' && customers[state]! / total > 0.8 + 1e-12);
      assert.deepEqual(geographicAnomaly.evaluate({ startMs: 0, byState: customers }, limits)?.entity, over[0]);
    }),
  );
});

test('crossings in time order make one episode per stretch without a quiet gap, named by its first', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 5000 }), { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 400 }), (times, gapMs) => {
      const sorted = times.sort((a, b) => a - b);
      let known: Episode[] = [];
      sorted.forEach((at, i) => {
        const joined = joinEpisode(known, at, gapMs);
        known = joined.known;
        let first = i;
        while (first > 0 && sorted[first]! - sorted[first - 1]! <= gapMs) first -= 1;
        assert.deepEqual(joined.episode, { episode: sorted[first], lastAt: at });
        for (const before of sorted.slice(Math.max(0, i - 15), i + 1)) assert.deepEqual(joinEpisode(known, before, gapMs), { ...joinEpisode(known, before, gapMs), isNews: false, known }, 'what is looked at again is no news');
      });
    }),
  );
});
