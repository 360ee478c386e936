/** What the outside may know of the batch workflows: names, ids, inputs, results. No row and no personal data goes through any of these. */
import type { BatchTable } from '../domain/batch-staging.ts';
import type { BatchWindow, WindowSpan } from '../domain/batch-window.ts';

export const batchScheduleId = 'batch-etl';
export const batchWorkflowType = 'batchEtl';
export const batchWorkflowId = (windowEnd: string): string => `batch-etl/${windowEnd}`;

/** On each run's page in Temporal Web. */
export const batchDetails = [
  'Extracts the shop as of one moment, checks it, computes records of customers, products and orders, and publishes them in Redis, all at once.',
  '- what it came to: the result, or `batch_summary:<run id>` in Redis',
  '- paused, failed or blocked: `npx sluice batch status`',
].join('\n');

/** Which pointers a whole run moves: `latest` and its window's, its window's alone, or none. */
export type BatchPublish = 'latest' | 'window' | 'none';

export interface BatchInput {
  /** Given, or derived from the time for which the schedule started the run: then the two below are needed. */
  window?: BatchWindow;
  intervalSeconds?: number;
  windowHours?: number;
  publish: BatchPublish;
  /** Tables may have lost as many rows as they like: what is there now is what the next run is measured by. */
  acceptLoss?: boolean;
  /** A snapshot that another session of PostgreSQL has exported, instead of one of the run's own. */
  snapshot?: string;
}

export type BatchStage = 'extracting' | 'checking' | 'transforming' | 'loading' | 'done' | 'blocked' | 'failed' | 'cancelled';
export type BatchVerdict = 'pass' | 'warn' | 'block';
export type RecordTable = 'customers' | 'products' | 'orders';
export const recordTables = ['customers', 'products', 'orders'] as const satisfies RecordTable[];

/** Rows of the source by table. */
export type RowCounts = Record<BatchTable, number>;

/** Answer of the query `batchProgress`. */
export interface BatchProgress {
  stage: BatchStage;
  window: BatchWindow;
  paused: boolean;
  /** 1 at first; lost staging costs another. */
  round: number;
  rows: RowCounts | null;
  verdict: BatchVerdict | null;
  /** What a person should know. */
  note: string;
}
export const batchProgressQuery = 'batchProgress';
export const pauseSignal = 'pause';
export const resumeSignal = 'resume';

export interface Extracted {
  /** Name of the staged set. */
  set: string;
  rows: RowCounts;
  bytes: number;
  files: number;
  seconds: number;
}

/** A check that failed. Texts hold names, labels and counts only. */
export interface QualityFinding {
  name: string;
  severity: 'warn' | 'block';
  /** Rows at fault. */
  failed: number;
  detail: string;
}

export interface QualityResult {
  verdict: BatchVerdict;
  findings: QualityFinding[];
  /** Checks that passed. */
  passed: number;
  seconds: number;
}

export interface Transformed {
  set: string;
  /** The rest of what was found is staged beside the records: it has no bound. */
  insights: { records_processed: Record<RecordTable, number> };
  seconds: number;
}

/** What a run has come to, for its summary. */
export interface RunReport {
  runId: string;
  window: BatchWindow;
  publish: BatchPublish;
  /** When the run began, milliseconds since 1970. */
  startedMs: number;
  rows: RowCounts | null;
  quality: QualityResult | null;
  /** Seconds by step. */
  durations: Record<string, number>;
}

export interface Loaded {
  records: number;
  /** Whether `latest` leads to this run now. */
  isLatest: boolean;
  seconds: number;
}

/** The workflow's result. */
export interface BatchResult {
  runId: string;
  window: BatchWindow;
  verdict: BatchVerdict;
  findings: QualityFinding[];
  rows: RowCounts;
  records: Record<RecordTable, number>;
  isLatest: boolean;
  durations: Record<string, number>;
}

export interface BatchActivities {
  /** Stages the source as it is at one moment. Repeated, it begins with a new moment and drops what it had staged. */
  extractTables(input: { runId: string; round: number; snapshot: string | null }): Promise<Extracted>;
  checkQuality(input: { set: string; window: BatchWindow; acceptLoss?: boolean }): Promise<QualityResult>;
  /** Stages the records. */
  transformTables(input: { set: string; window: BatchWindow }): Promise<Transformed>;
  /** Writes the records under the run's id, then moves the pointers, all at once. Safe to repeat. */
  loadRecords(input: { set: string; report: RunReport }): Promise<Loaded>;
  /** Counts a failed run once, leaves its summary, drops what it staged and, when it was scheduled, raises the alert; how many scheduled runs have failed in a row. */
  recordFailure(report: RunReport, failure: { verdict: BatchVerdict | null; why: string }, isScheduled: boolean): Promise<number>;
  /** Pauses the schedule when that many failures in a row are too many. */
  pauseSchedule(failures: number, why: string): Promise<void>;
  /** Removes what is staged; with `isPublished` false what is loaded too, unless it was published all the same. */
  dropRun(runId: string, isPublished: boolean): Promise<void>;
}

export const backfillWorkflowType = 'backfill';
export const backfillWorkflowId = (id: string): string => `backfill/${id}`;
export const backfillProgressQuery = 'backfillProgress';

/** Which windows are run: those without a result, those that failed too, or every one. */
export type BackfillPolicy = 'none' | 'failed' | 'all';
export const backfillPolicies = ['none', 'failed', 'all'] as const satisfies BackfillPolicy[];

export interface BackfillInput extends WindowSpan {
  policy: BackfillPolicy;
  /** Runs at once. */
  concurrency: number;
  /** Carried over when the workflow continues as new. */
  progress?: BackfillProgress;
}

/** Of a backfill that is asked with less: a window a day. */
export const backfillDefaults = { everySeconds: 86_400, policy: 'none', concurrency: 2 } as const satisfies Partial<BackfillInput>;
export type BackfillRequest = Pick<BackfillInput, 'from' | 'to'> & Partial<BackfillInput>;

/** Answer of the query `backfillProgress`, and the workflow's result. */
export interface BackfillProgress {
  total: number;
  /** Windows that were looked at, from the first. */
  decided: number;
  completed: number;
  skipped: number;
  failed: number;
  /** Ends of the first windows that failed. */
  failedEnds: string[];
  /** Ends of the windows in work. */
  running: string[];
  paused: boolean;
}

/** `running`: by somebody else. */
export type WindowState = 'present' | 'missing' | 'failed' | 'running';

export interface BackfillActivities {
  inspectWindows(windows: BatchWindow[]): Promise<WindowState[]>;
}

/** Whether a policy has a window in this state run. */
export const isWanted = (policy: BackfillPolicy, state: WindowState): boolean =>
  state !== 'running' && (policy === 'all' || state === 'missing' || (policy === 'failed' && state === 'failed'));
