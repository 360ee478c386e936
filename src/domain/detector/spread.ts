/**
 * The usual size of a deviation, learnt with bounded influence: one outlier moves it by a few sizes at most, however large it is.
 * Deviations that stay out on one side open the bound by a factor of two a point, so a lasting change is followed and no
 * outlier is.
 */

export interface Spread {
  /** Mean absolute deviation of what was let in. */
  size: number;
  /** How many deviations went in. */
  seen: number;
  /** How many of the last ones were beyond the bound on the same side; its sign is the side. */
  run: number;
}

export const createSpread = (): Spread => ({ size: 0, seen: 0, run: 0 });

/** Of a normal distribution: standard deviation over mean absolute deviation. */
export const sigmaPerSize = Math.sqrt(Math.PI / 2);

const boundSizes = 4;
const openAtOnce = 6;
const runMost = 60;

/** Takes one deviation in and returns the bounded one. `floor`: the smallest size that counts; `span`: points it remembers. */
export function admit(spread: Spread, deviation: number, floor: number, span: number): number {
  const bounded = spread.seen < openAtOnce ? deviation : boundedBy(spread, deviation, boundSizes * Math.max(spread.size, floor));
  spread.seen += 1;
  spread.size += (Math.abs(bounded) - spread.size) * Math.max(1 / spread.seen, 1 / span);
  return bounded;
}

function boundedBy(spread: Spread, deviation: number, bound: number): number {
  if (Math.abs(deviation) <= bound) {
    spread.run = 0;
    return deviation;
  }
  const side = Math.sign(deviation);
  const before = spread.run;
  spread.run = Math.sign(before) === side ? side * Math.min(Math.abs(before) + 1, runMost) : side;
  const open = bound * 2 ** Math.max(0, Math.abs(before) - 1);
  return Math.max(-open, Math.min(open, deviation));
}
