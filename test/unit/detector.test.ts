/**
 * Goal: the detector tells what an operator would call wrong, and is quiet otherwise.
 * Method: single cases with a known answer; then labelled series of many kinds against a z-score and an EWMA.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertScore, createDetector, type Verdict } from '../../src/domain/detector/detector.ts';
import { ewma, measureDetection, zScore, type Scorer } from '../detection-measures.ts';
import { chance, kinds } from '../labelled-series.ts';

const minute = 60_000;
const judge = (values: number[], intervalMs = minute): Verdict[] => {
  const { observe } = createDetector();
  return values.map((value, i) => observe({ timestampMs: i * intervalMs, value }));
};
const noise = (count: number, seed = 1): number[] => {
  const { normal } = chance(seed);
  return Array.from({ length: count }, () => 100 + 5 * normal());
};
const alarms = (verdicts: Verdict[]): number[] => verdicts.flatMap(({ score }, i) => (score >= alertScore ? [i] : []));

test('a spike and a drop are told with their side, and the points after them are not', () => {
  const verdicts = judge([...noise(300), 180, ...noise(50, 2), 0, ...noise(50, 3)]);
  assert.deepEqual(alarms(verdicts), [300, 351]);
  assert.deepEqual([verdicts[300]!.reason, verdicts[351]!.reason], ['above', 'below']);
});

test('plain noise of any kind is quiet', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { poisson } = chance(seed);
    assert.deepEqual(alarms(judge(noise(3000, seed))), []);
    assert.ok(alarms(judge(Array.from({ length: 3000 }, () => poisson(3)))).length <= 3);
  }
});

test('a constant series is quiet, its first change is told, and the new constant becomes usual', () => {
  const verdicts = judge([...Array.from({ length: 200 }, () => 7), ...Array.from({ length: 200 }, () => 9)]);
  const told = alarms(verdicts);
  assert.equal(told[0], 200);
  assert.ok(told.every((i) => i < 260), told.join());
});

test('a level shift is told and followed', () => {
  const told = alarms(judge([...noise(500), ...noise(300, 2).map((value) => value + 60)]));
  assert.ok(told.includes(500) && told.every((i) => i >= 500 && i < 580), told.join());
});

test('a steady trend is quiet', () => {
  assert.deepEqual(alarms(judge(noise(3000).map((value, i) => value + i * 0.5))), []);
});

test('a value that is usual at noon is told at midnight, once a few days were seen', () => {
  const { normal } = chance(3);
  const day = 288;
  const values = Array.from({ length: day * 8 }, (_, i) => 100 - 60 * Math.cos((2 * Math.PI * i) / day) + 3 * normal());
  values[day * 6] = 100;
  const verdicts = judge(values, 5 * minute);
  assert.deepEqual(alarms(verdicts).filter((i) => i > day * 3), [day * 6]);
});

test('a series that stands still after it has always moved is told', () => {
  const values = [...noise(600), ...Array.from({ length: 60 }, () => 101.5)];
  assert.equal(judge(values).at(-20)!.reason, 'stuck');
});

test('in counts of independent events the root of the expected is no anomaly', () => {
  const { observe } = createDetector({ noise: 'counts' });
  const verdicts = Array.from({ length: 400 }, (_, i) => observe({ timestampMs: i * minute, value: i === 399 ? 3 : 1 }));
  assert.deepEqual(alarms(verdicts), []);
});

const sluice: Scorer = () => {
  const { observe } = createDetector();
  return (value, timestampMs) => observe({ timestampMs, value }).score;
};

test('over all kinds of labelled series it is far better than a z-score and an EWMA', () => {
  const meanOf = (scorer: Scorer): number => {
    const measured = Object.values(kinds).map((kind) => {
      const series = kind(900);
      const score = scorer();
      return measureDetection(series.map(({ value, timestampMs }) => score(value, timestampMs)), series.map(({ anomaly }) => anomaly)).prAuc;
    });
    return measured.reduce((sum, one) => sum + one, 0) / measured.length;
  };
  const [ours, plain, weighted] = [sluice, zScore, ewma].map(meanOf) as [number, number, number];
  assert.ok(ours > 0.65 && ours > plain + 0.15 && ours > weighted + 0.15, `${ours} against ${plain} and ${weighted}`);
});
