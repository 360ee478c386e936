/**
 * All that the detector remembers, as plain JSON. Bounded: 1,024 points, four levels, three seasons of at most 288, 672 and 341
 * buckets, one histogram — some 7,000 numbers, at most 150 KB as JSON, however long the series.
 */
import { createLevel, type Level } from './level.ts';
import type { Season } from './season.ts';
import { createSpread, type Spread } from './spread.ts';
import { createTail, type Tail } from './tail.ts';

export interface DetectorState {
  version: 1;
  /** Valid points so far. */
  points: number;
  lastMs: number | null;
  /** The first gaps between points; their median is the interval. */
  gaps: number[];
  intervalMs: number | null;
  /** The last points, oldest first from `at`. */
  values: number[];
  times: number[];
  at: number;
  /** Usual absolute value. */
  usual: Level;
  levels: Level[];
  seasons: { day: Season | null; week: Season | null; found: Season | null };
  /** Errors of the blended forecast. */
  noise: Spread;
  tail: Tail;
  /** Short averages of the errors in units of their usual size, signed and not. */
  shift: { mean: number; error: Spread };
  burst: { mean: number; usual: Level };
  repeats: { value: number | null; run: number; longest: number; share: number };
}

export const createState = (levels: number): DetectorState => ({
  version: 1,
  points: 0,
  lastMs: null,
  gaps: [],
  intervalMs: null,
  values: [],
  times: [],
  at: 0,
  usual: createLevel(),
  levels: Array.from({ length: levels }, createLevel),
  seasons: { day: null, week: null, found: null },
  noise: createSpread(),
  tail: createTail(),
  shift: { mean: 0, error: createSpread() },
  burst: { mean: 0, usual: createLevel() },
  repeats: { value: null, run: 0, longest: 0, share: 0 },
});

export const ringPoints = 1024;

/** Puts a point into the ring in place of the oldest. */
export function remember(state: DetectorState, timestampMs: number, value: number): void {
  state.values[state.at] = value;
  state.times[state.at] = timestampMs;
  state.at = (state.at + 1) % ringPoints;
}

/** The ring, oldest first. */
export const lastPoints = <T>(ring: readonly T[], at: number): T[] => (ring.length < ringPoints ? ring.slice() : [...ring.slice(at), ...ring.slice(0, at)]);
