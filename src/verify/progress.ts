/** How far a comparison has come, as a share of all of its work. */

export interface Progress {
  /** What is being compared. */
  step: string;
  done: number;
  /** About how many there are. */
  total: number;
  /** Of the whole work, 0 … 1. */
  share: number;
}

/** `weight`: what one of them takes, compared with the others. */
export interface Step {
  name: string;
  total: number;
  weight: number;
}

/** The steps come in order; an estimate that was too low is no reason to pass 1. */
export function createProgress(steps: Step[], tell: (progress: Progress) => void): (name: string, done: number) => void {
  const workOf = ({ total, weight }: Step): number => Math.max(1, total) * weight;
  const all = steps.reduce((sum, step) => sum + workOf(step), 0);
  return (name, done) => {
    const at = steps.findIndex((step) => step.name === name);
    const before = steps.slice(0, at).reduce((sum, step) => sum + workOf(step), 0);
    const { total, weight } = steps[at]!;
    tell({ step: name, done, total: Math.max(total, done), share: (before + Math.min(done, Math.max(1, total)) * weight) / all });
  };
}
