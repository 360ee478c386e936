/** Which seasons a series has: day and week where its points are dense enough, and one period found in what was seen. */
import { findPeriod } from './period.ts';
import { createSeason, learnSeason, phaseOf, type Season } from './season.ts';
import { lastPoints, ringPoints, type DetectorState } from './state.ts';

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;
const gapsAsked = 15;
const dayBuckets = { least: 4, most: 288 };
const weekBuckets = { least: 7, most: 672 };
const firstSearch = 48;
/** A found period is kept unless the new one differs by more than this. */
const samePeriod = 0.03;

/** Learns the interval from the first gaps, and then which calendar seasons it lets one see. */
export function noteGap(state: DetectorState, timestampMs: number): void {
  if (state.intervalMs === null && state.lastMs !== null && timestampMs > state.lastMs) {
    state.gaps.push(timestampMs - state.lastMs);
    if (state.gaps.length === gapsAsked) {
      const intervalMs = state.gaps.sort((a, b) => a - b)[Math.floor(gapsAsked / 2)]!;
      state.intervalMs = intervalMs;
      state.gaps = [];
      state.seasons.day = calendarSeason(dayMs, intervalMs, dayBuckets);
      state.seasons.week = calendarSeason(weekMs, intervalMs, weekBuckets);
    }
  }
  state.lastMs = Math.max(timestampMs, state.lastMs ?? timestampMs);
}

function calendarSeason(periodMs: number, intervalMs: number, { least, most }: { least: number; most: number }): Season | null {
  const buckets = Math.min(most, Math.round(periodMs / intervalMs));
  return buckets < least ? null : createSeason(periodMs, buckets, intervalMs);
}

/** At growing distances: the cost stays a fraction of a microsecond per point. */
export const isTimeToSearch = (points: number): boolean => points % ringPoints === 0 || (points < ringPoints && points >= firstSearch && Number.isInteger(Math.log2(points / firstSearch)));

/** Looks for a period in the ring; a new one learns from the ring at once. */
export function searchPeriod(state: DetectorState, floor: number, span: number): void {
  const { intervalMs, seasons } = state;
  if (intervalMs === null) return;
  const values = lastPoints(state.values, state.at);
  const lag = findPeriod(values);
  if (lag === undefined) return;
  const periodMs = lag * intervalMs;
  const known = [seasons.day, seasons.week, seasons.found].some((season) => season !== null && Math.abs(periodMs / season.periodMs - 1) <= samePeriod);
  if (known) return;
  const found = createSeason(periodMs, lag, intervalMs);
  const times = lastPoints(state.times, state.at);
  values.forEach((value, i) => learnSeason(phaseOf(found, times[i]!), value, floor, span));
  seasons.found = found;
}
