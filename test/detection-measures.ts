/** How well scores tell labelled points: the area under the ROC curve, the area under precision and recall, and the best F1. */

export interface Detection {
  rocAuc: number;
  prAuc: number;
  bestF1: number;
}

/** Ties count half in the ROC, and move together in precision and recall. */
export function measureDetection(scores: readonly number[], anomalies: readonly boolean[]): Detection {
  const order = scores.map((score, i) => ({ score, anomaly: anomalies[i]! })).sort((a, b) => b.score - a.score);
  const positives = order.filter(({ anomaly }) => anomaly).length;
  const negatives = order.length - positives;
  let truePositives = 0;
  let falsePositives = 0;
  let roc = 0;
  let pr = 0;
  let bestF1 = 0;
  for (let i = 0; i < order.length; ) {
    const [trueBefore, falseBefore] = [truePositives, falsePositives];
    const { score } = order[i]!;
    for (; i < order.length && order[i]!.score === score; i += 1) {
      if (order[i]!.anomaly) truePositives += 1;
      else falsePositives += 1;
    }
    roc += ((falsePositives - falseBefore) * (truePositives + trueBefore)) / 2;
    const precision = truePositives / (truePositives + falsePositives);
    pr += ((truePositives - trueBefore) / positives) * precision;
    bestF1 = Math.max(bestF1, (2 * truePositives) / (positives + truePositives + falsePositives));
  }
  return { rocAuc: roc / (positives * negatives), prAuc: pr, bestF1 };
}

export type Scorer = () => (value: number, timestampMs: number) => number;

/** The whole past's mean and deviation. */
export const zScore: Scorer = () => {
  let [n, mean, square] = [0, 0, 0];
  return (value) => {
    const z = n < 10 || square === 0 ? 0 : Math.abs(value - mean) / Math.sqrt(square / n);
    n += 1;
    const before = value - mean;
    mean += before / n;
    square += before * (value - mean);
    return z / (z + 3);
  };
};

/** Exponentially weighted mean and deviation, over about forty points. */
export const ewma: Scorer = () => {
  let [n, mean, variance] = [0, 0, 0];
  return (value) => {
    const z = n < 10 || variance === 0 ? 0 : Math.abs(value - mean) / Math.sqrt(variance);
    n += 1;
    const gain = Math.max(1 / n, 0.05);
    variance = (1 - gain) * (variance + gain * (value - mean) ** 2);
    mean += gain * (value - mean);
    return z / (z + 3);
  };
};
