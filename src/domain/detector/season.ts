/**
 * A forecaster that knows one period: the usual shape over it, in buckets of time, and an offset that follows level and trend.
 * Phases are times, so missing points and jitter do not shift it. Ready once a good part of a second period was forecast.
 */
import { admit, createSpread, type Spread } from './spread.ts';

export interface Season {
  periodMs: number;
  /** How many points fall into a bucket each time; what is learnt from one is divided by it. */
  pointsPerBucket: number;
  /** One entry per bucket: its usual value, how often it was seen, since which period, its usual absolute error. */
  centre: number[];
  count: number[];
  since: number[];
  size: number[];
  offset: number;
  error: Spread;
}

/** A moment in a season: which bucket, and which period since 1970. */
export interface Phase {
  season: Season;
  bucket: number;
  cycle: number;
}

const offsetGain = 0.12;
const shapeGain = 0.18;
const readyShare = 0.25;
const readyLeast = 8;
/** An error of a bucket counts as much as so many points of the whole. */
const sizeTrust = 4;

export function createSeason(periodMs: number, buckets: number, intervalMs: number): Season {
  const zeros = (): number[] => Array.from({ length: buckets }, () => 0);
  const pointsPerBucket = Math.max(1, periodMs / intervalMs / buckets);
  return { periodMs, pointsPerBucket, centre: zeros(), count: zeros(), since: zeros(), size: zeros(), offset: 0, error: createSpread() };
}

export function phaseOf(season: Season, timestampMs: number): Phase {
  const cycle = Math.floor(timestampMs / season.periodMs);
  const share = (timestampMs - cycle * season.periodMs) / season.periodMs;
  const buckets = season.centre.length;
  return { season, cycle, bucket: Math.max(0, Math.min(buckets - 1, Math.floor(share * buckets))) };
}

/** Whether the bucket was seen in an earlier period. */
const isKnown = ({ season, bucket, cycle }: Phase): boolean => season.count[bucket]! > 0 && season.since[bucket]! < cycle;

const isReady = ({ centre, error, pointsPerBucket }: Season): boolean => error.seen >= Math.max(readyLeast, readyShare * pointsPerBucket * centre.length);

/** Undefined until a good part of a second period was forecast, and where the bucket was never seen before. */
export const forecastSeason = (phase: Phase): number | undefined =>
  isKnown(phase) && isReady(phase.season) ? phase.season.centre[phase.bucket]! + phase.season.offset : undefined;

/** In the first period a bucket takes the mean of its points; from then on its errors are followed, and remembered for a period: one part of it may be worse than another. */
export function learnSeason(phase: Phase, value: number, floor: number, span: number): void {
  const { season, bucket, cycle } = phase;
  const count = season.count[bucket]! + 1;
  if (count === 1) season.since[bucket] = cycle;
  const known = isKnown(phase);
  season.count[bucket] = count;
  const deviation = value - season.centre[bucket]! - season.offset;
  const step = known ? admit(season.error, deviation, floor, Math.max(span, season.pointsPerBucket * season.centre.length)) : deviation;
  if (known) season.offset += offsetGain * step;
  season.centre[bucket]! += Math.max(shapeGain / season.pointsPerBucket, 1 / count) * (known ? 1 - offsetGain : 1) * step;
}

/** Keeps the usual error of a bucket; `size` is a bounded absolute error of the whole forecast. */
export function learnBucketSize(phase: Phase, size: number): void {
  if (forecastSeason(phase) === undefined) return;
  const { season, bucket } = phase;
  const gain = Math.max(shapeGain / season.pointsPerBucket, 1 / Math.max(1, season.count[bucket]! - season.pointsPerBucket));
  season.size[bucket]! += (size - season.size[bucket]!) * gain;
}

/** The usual error at this phase, drawn towards that of the whole while the bucket is young. */
export function bucketSize({ season, bucket }: Phase, whole: number): number {
  const trust = Math.min(season.count[bucket]! / season.pointsPerBucket - 1, 1 / shapeGain);
  return trust <= 0 ? whole : (season.size[bucket]! * trust + whole * sizeTrust) / (trust + sizeTrust);
}
