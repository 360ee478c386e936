/**
 * How far out is usual: a histogram of past deviations in half-octaves that forgets slowly. Series with heavy tails get a wide
 * band by it, and calm ones keep a narrow band. Instead of fading all bins at each point, a new entry weighs a little more.
 */

export interface Tail {
  bins: number[];
  total: number;
  /** Weight of the next entry. */
  weight: number;
}

const binsPerOctave = 2;
const lowestExponent = -2;
const bins = 96;
const weightMost = 1e12;

export const createTail = (): Tail => ({ bins: Array.from({ length: bins }, () => 0), total: 0, weight: 1 });

const binOf = (size: number): number => Math.max(0, Math.min(bins - 1, Math.floor((Math.log2(size) - lowestExponent) * binsPerOctave)));

export function learnTail(tail: Tail, size: number, span: number): void {
  tail.bins[size > 0 ? binOf(size) : 0]! += tail.weight;
  tail.total += tail.weight;
  tail.weight *= 1 + 1 / span;
  if (tail.weight < weightMost) return;
  tail.bins.forEach((weight, bin) => (tail.bins[bin] = weight / weightMost));
  tail.total /= weightMost;
  tail.weight /= weightMost;
}

/** The size that a share `beyond` of the past exceeded, interpolated; 0 while there is too little past to tell. */
export function tailSize(tail: Tail, beyond: number): number {
  let left = beyond * tail.total;
  if (left < tail.weight) return 0;
  for (let bin = bins - 1; bin > 0; bin -= 1) {
    const weight = tail.bins[bin]!;
    if (weight >= left) return 2 ** (lowestExponent + (bin + 1 - left / weight) / binsPerOctave);
    left -= weight;
  }
  return 0;
}
