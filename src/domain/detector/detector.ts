/**
 * Tells how unusual each point of a series is, in one pass: several forecasters compete, their blend is compared with the value,
 * and the error is measured against what is usual for this series at this phase.
 * Invariant: a score depends on the points before it and on its own, never on later ones; bounded memory; no clock, no randomness.
 */
import { forecastLevel, learnLevel, type LevelKind } from './level.ts';
import { bucketSize, forecastSeason, learnBucketSize, learnSeason, phaseOf, type Phase } from './season.ts';
import { isTimeToSearch, noteGap, searchPeriod } from './seasons.ts';
import { admit, sigmaPerSize } from './spread.ts';
import { createState, remember, type DetectorState } from './state.ts';
import { learnTail, tailSize } from './tail.ts';

export interface Point {
  timestampMs: number;
  value: number;
}

export type Reason = 'expected' | 'above' | 'below' | 'shifted' | 'restless' | 'stuck' | 'warming-up' | 'invalid';

export interface Verdict {
  /** 0 … 1; from `alertScore` on the point is an anomaly. */
  score: number;
  /** A value by itself is an anomaly outside of it; null before anything was learnt. */
  expected: { low: number; high: number } | null;
  /** What the score is owed to: the value by itself, errors on one side, larger errors than usual, or a value that stands still. */
  reason: Reason;
}

export interface Detector {
  /** Judges one point and learns from it. */
  observe: (point: Point) => Verdict;
  /** A copy as plain JSON; `createDetector(options, state)` goes on from there as if nothing had been between. */
  state: () => DetectorState;
}

export interface DetectorOptions {
  /** `counts`: numbers of independent events, whose noise is never below the square root of what is expected. */
  noise?: 'any' | 'counts';
  /** Before so many points nothing is an anomaly; 50 when it is not given. */
  warmPoints?: number;
}

/** A point that scores this or more is an anomaly. */
export const alertScore = 0.5;

const tuning = {
  /** Standard deviations at which a point scores one half. */
  pointLimit: 5,
  shiftLimit: 6,
  burstLimit: 8,
  /** The band also holds this many times what two in a hundred past points exceeded. */
  tailFactor: 2,
  tailShare: 0.02,
  errorSpan: 300,
  noiseSpan: 800,
  tailSpan: 4000,
  shiftGain: 0.15,
  burstGain: 0.1,
  warmPoints: 50,
};

const levelKinds: readonly LevelKind[] = [
  { gain: 0.9, trendGain: 0 },
  { gain: 0.3, trendGain: 0 },
  { gain: 0.03, trendGain: 0 },
  { gain: 0.4, trendGain: 0.05 },
];
const usualKind: LevelKind = { gain: 0.01, trendGain: 0 };
const floorShare = 0.001;
const floorLeast = 1e-9;
const valueMost = 1e100;

interface Forecast {
  value: number;
  /** Usual absolute error at this phase. */
  size: number;
}

export function createDetector(options: DetectorOptions = {}, restored?: DetectorState): Detector {
  const state = restored ? structuredClone(restored) : createState(levelKinds.length);
  return {
    observe: (point) => observe(state, point, options),
    state: () => structuredClone(state),
  };
}

function observe(state: DetectorState, { timestampMs, value }: Point, { noise, warmPoints = tuning.warmPoints }: DetectorOptions): Verdict {
  if (!Number.isFinite(timestampMs) || !(Math.abs(value) <= valueMost)) return { score: 0, expected: null, reason: 'invalid' };
  const missed = missedSince(state, timestampMs);
  noteGap(state, timestampMs);
  const phases = phasesOf(state, timestampMs);
  const forecast = state.points === 0 ? null : blend(state, phases, missed);
  const floor = floorOf(state, noise === 'counts' ? forecast : null);
  const verdict: Verdict = forecast === null ? { score: 0, expected: null, reason: 'warming-up' } : judge(state, forecast, { value, floor, warmPoints });
  learn(state, phases, forecast, { timestampMs, value }, floor);
  return verdict;
}

const phasesOf = ({ seasons }: DetectorState, timestampMs: number): Phase[] =>
  [seasons.day, seasons.week, seasons.found].filter((season) => season !== null).map((season) => phaseOf(season, timestampMs));

/** Errors below it are rounding, not noise. */
function floorOf({ usual }: DetectorState, counts: Forecast | null): number {
  const relative = Math.max(floorLeast, floorShare * Math.abs(usual.centre));
  return counts === null ? relative : Math.max(relative, Math.sqrt(Math.max(counts.value, 1)) / sigmaPerSize);
}

const missedMost = 100;

/** How much less a level is worth after a gap: its error grows as that of a random walk. */
const missedSince = ({ intervalMs, lastMs }: DetectorState, timestampMs: number): number =>
  intervalMs === null || lastMs === null ? 1 : Math.sqrt(Math.max(1, Math.min(missedMost, (timestampMs - lastMs) / intervalMs)));

/** The mean of all forecasts, weighted by the fourth power of how small their errors were. */
function blend(state: DetectorState, phases: Phase[], missed: number): Forecast {
  const floor = floorOf(state, null);
  const entries = state.levels.map((level) => ({ value: forecastLevel(level), error: missed * Math.max(level.error.size, floor) }));
  let size = missed * state.noise.size;
  let bestError = Number.POSITIVE_INFINITY;
  for (const phase of phases) {
    const value = forecastSeason(phase);
    if (value === undefined) continue;
    const error = Math.max(phase.season.error.size, floor);
    entries.push({ value, error });
    if (error < bestError) {
      bestError = error;
      size = bucketSize(phase, state.noise.size);
    }
  }
  const least = Math.min(...entries.map(({ error }) => error));
  let sum = 0;
  let weights = 0;
  for (const { value, error } of entries) {
    const square = (least / error) ** 2;
    const weight = square * square;
    sum += weight * value;
    weights += weight;
  }
  return { value: sum / weights, size: bestError < 2 * least ? Math.max(size, state.noise.size / 2) : missed * state.noise.size };
}

function judge(state: DetectorState, { value: centre, size }: Forecast, { value, floor, warmPoints }: { value: number; floor: number; warmPoints: number }): Verdict {
  const sigma = sigmaPerSize * Math.max(size, floor);
  const deviation = (value - centre) / sigma;
  const limit = Math.max(tuning.pointLimit, tuning.tailFactor * tailSize(state.tail, tuning.tailShare));
  const measures: { reason: Reason; excess: number }[] = [
    { reason: deviation > 0 ? 'above' : 'below', excess: Math.abs(deviation) / limit },
    { reason: 'shifted', excess: shiftNow(state, deviation) / tuning.shiftLimit },
    { reason: 'restless', excess: burstNow(state, deviation) / tuning.burstLimit },
    { reason: 'stuck', excess: stuckNow(state, value) },
  ];
  learnTail(state.tail, Math.abs(deviation), tuning.tailSpan);
  const { reason, excess } = measures.reduce((most, one) => (one.excess > most.excess ? one : most));
  const score = (excess * excess) / (1 + excess * excess);
  const warm = Math.min(1, state.points / warmPoints);
  const reach = limit * sigma;
  const expected = { low: centre - reach, high: centre + reach };
  if (warm < 1) return { score: Math.min(score * warm * warm, alertScore * 0.9), expected, reason: 'warming-up' };
  return { score, expected, reason: score < alertScore ? 'expected' : reason };
}

const deviationMost = 4;

/** The average error of the last points, in standard deviations of such averages. */
function shiftNow({ shift }: DetectorState, deviation: number): number {
  shift.mean += tuning.shiftGain * (Math.max(-deviationMost, Math.min(deviationMost, deviation)) - shift.mean);
  const usual = sigmaPerSize * Math.max(shift.error.size, shiftFloor);
  admit(shift.error, shift.mean, shiftFloor, tuning.noiseSpan);
  return Math.abs(shift.mean) / usual;
}

const shiftFloor = 0.2;

/** How much larger than usual the errors of the last points were, whatever their side. */
function burstNow({ burst }: DetectorState, deviation: number): number {
  burst.mean += tuning.burstGain * (Math.min(deviationMost, Math.abs(deviation)) - burst.mean);
  const excess = (burst.mean - burst.usual.centre) / (sigmaPerSize * Math.max(burst.usual.error.size, burstFloor));
  learnLevel(burst.usual, usualKind, burst.mean, burstFloor, tuning.noiseSpan);
  return Math.max(0, excess);
}

const burstFloor = 0.1;
const repeatSpan = 200;

/** A value that stands still for much longer than ever before, in a series that moves. */
function stuckNow({ repeats, points }: DetectorState, value: number): number {
  const same = value === repeats.value;
  if (!same) repeats.longest = Math.max(repeats.longest * 0.999, repeats.run);
  repeats.run = same ? repeats.run + 1 : 0;
  repeats.value = value;
  repeats.share += ((same ? 1 : 0) - repeats.share) * Math.max(1 / points, 1 / repeatSpan);
  return repeats.share > 0.3 ? 0 : repeats.run / (2 * repeats.longest + 10);
}

function learn(state: DetectorState, phases: Phase[], forecast: Forecast | null, { timestampMs, value }: Point, floor: number): void {
  if (forecast !== null) {
    const bounded = Math.abs(admit(state.noise, value - forecast.value, floor, tuning.noiseSpan));
    for (const phase of phases) learnBucketSize(phase, bounded);
  }
  state.levels.forEach((level, i) => learnLevel(level, levelKinds[i]!, value, floor, tuning.errorSpan));
  for (const phase of phases) learnSeason(phase, value, floor, tuning.errorSpan);
  learnLevel(state.usual, usualKind, Math.abs(value), 0, tuning.noiseSpan);
  state.points += 1;
  remember(state, timestampMs, value);
  if (isTimeToSearch(state.points)) searchPeriod(state, floor, tuning.errorSpan);
}

