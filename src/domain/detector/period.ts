/**
 * The period of the last points, by autocorrelation. Works on what was seen only, so it never looks ahead.
 * Trend is taken out and outliers are cut before, or they would decide.
 */

/** Three whole periods must have been seen. */
const cyclesLeast = 3;
const lagLeast = 4;
const correlationLeast = 0.3;
/** How far the correlation must have fallen before the peak: a smooth series correlates with itself at every small lag. */
const dipLeast = 0.2;
/** A shorter period is taken for a longer one with nearly the same correlation: that is its multiple. */
const nearly = 0.9;

/** In points; undefined when there is none. `values`: oldest first. */
export function findPeriod(values: readonly number[]): number | undefined {
  const series = standardised(values);
  if (!series) return undefined;
  const lagMost = Math.floor(series.length / cyclesLeast);
  let lowest = 1;
  let before = 1;
  let here = autocorrelation(series, 1);
  const peaks: { lag: number; height: number }[] = [];
  for (let lag = 1; lag < lagMost; lag += 1) {
    const next = autocorrelation(series, lag + 1);
    lowest = Math.min(lowest, here);
    if (lag >= lagLeast && here >= before && here > next && here >= correlationLeast && here - lowest >= dipLeast) peaks.push({ lag, height: here });
    before = here;
    here = next;
  }
  const highest = Math.max(...peaks.map(({ height }) => height));
  return peaks.find(({ height }) => height >= nearly * highest)?.lag;
}

function autocorrelation(series: Float64Array, lag: number): number {
  let sum = 0;
  for (let i = lag; i < series.length; i += 1) sum += series[i]! * series[i - lag]!;
  return sum / (series.length - lag);
}

const cutSizes = 4;

/** Without its straight line, cut at four mean deviations, variance one. */
function standardised(values: readonly number[]): Float64Array | undefined {
  const series = Float64Array.from(values);
  removeLine(series);
  const cut = (cutSizes * series.reduce((sum, value) => sum + Math.abs(value), 0)) / series.length;
  series.forEach((value, i) => (series[i] = Math.max(-cut, Math.min(cut, value))));
  removeLine(series);
  const deviation = Math.sqrt(series.reduce((sum, value) => sum + value * value, 0) / series.length);
  if (!(deviation > 0)) return undefined;
  return series.map((value) => value / deviation);
}

function removeLine(series: Float64Array): void {
  const middle = (series.length - 1) / 2;
  let sum = 0;
  let cross = 0;
  let square = 0;
  series.forEach((value, i) => {
    sum += value;
    cross += (i - middle) * value;
    square += (i - middle) ** 2;
  });
  const slope = square === 0 ? 0 : cross / square;
  series.forEach((value, i) => (series[i] = value - sum / series.length - slope * (i - middle)));
}
