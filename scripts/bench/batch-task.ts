/** What the bench and its worker-like process say to each other. */

export const stages = ['extract', 'quality', 'transform', 'load', 'drop'] as const;
export type Stage = (typeof stages)[number];

export interface StageTask {
  stage: Stage;
  runId: string;
  database: string;
}

export interface StageDone {
  seconds: number;
  /** What it handled, for whoever reads the samples. */
  found: Record<string, unknown>;
}
