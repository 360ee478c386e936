/** A forecaster that knows no seasons: a level, and where asked a damped trend, that follow bounded errors. */
import { admit, createSpread, type Spread } from './spread.ts';

export interface Level {
  centre: number;
  trend: number;
  error: Spread;
}

/** `gain` 1 is "as the last point was"; a small one averages. `trendGain` 0: no trend. */
export interface LevelKind {
  gain: number;
  trendGain: number;
}

const trendKept = 0.98;

export const createLevel = (): Level => ({ centre: 0, trend: 0, error: createSpread() });

export const forecastLevel = ({ centre, trend }: Level): number => centre + trend;

/** The first points are averaged, whatever the gain. */
export function learnLevel(level: Level, { gain, trendGain }: LevelKind, value: number, floor: number, span: number): void {
  const forecast = level.error.seen === 0 ? value : forecastLevel(level);
  const step = admit(level.error, value - forecast, floor, span);
  level.centre = forecast + Math.max(gain, 1 / level.error.seen) * step;
  level.trend = trendKept * level.trend + trendGain * step;
}
