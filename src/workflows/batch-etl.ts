/**
 * One batch run: extract → quality gate → transform → load. What is large is staged; this history holds names and counts.
 * Invariant: the pointers move only when everything is loaded; a run that ends otherwise leaves the last good result as it was.
 */
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
  type ActivityOptions,
} from '@temporalio/workflow';
import { whyNoWindow, windowAt, type BatchWindow } from '../domain/batch-window.ts';
import {
  batchProgressQuery,
  pauseSignal,
  resumeSignal,
  type BatchActivities,
  type BatchInput,
  type BatchProgress,
  type BatchResult,
  type BatchStage,
  type QualityResult,
  type RunReport,
} from './batch-contract.ts';
import { messageOf } from './failure-text.ts';

/** A server may be away for half an hour; what cannot work is not repeated. */
const retry = { initialInterval: '1 second', maximumInterval: '1 minute', maximumAttempts: 30 } as const;
/** Steps whose worker is missed within twelve seconds, and that tidy up when they are cancelled. */
const long = { startToCloseTimeout: '6 hours', heartbeatTimeout: '12 seconds', cancellationType: 'WAIT_CANCELLATION_COMPLETED', retry } as const;
const act = (options: ActivityOptions, summary: string) => proxyActivities<BatchActivities>({ ...options, summary });

const { extractTables } = act(long, 'source → Parquet, one snapshot');
const { checkQuality } = act(long, 'quality gate');
const { transformTables } = act(long, 'Parquet → records, DuckDB');
const { loadRecords } = act(long, 'records → Redis, pointers last');
/** Whatever ends a run is told, however long that takes. */
const tell = { startToCloseTimeout: '1 minute', retry: { initialInterval: '1 second', maximumInterval: '1 minute' } } as const;
const { recordFailure, pauseSchedule } = act(tell, 'count the failure');
const { dropRun } = act(tell, 'remove what is staged');

const keys = {
  stage: defineSearchAttributeKey('PipelineStage', 'KEYWORD'),
  windowStart: defineSearchAttributeKey('WindowStart', 'DATETIME'),
  rowsLoaded: defineSearchAttributeKey('RowsLoaded', 'INT'),
  verdict: defineSearchAttributeKey('QualityVerdict', 'KEYWORD'),
};
const scheduledStart = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/** Staging that is lost again and again has a reason that a person must find. */
const roundsMost = 3;

export async function batchEtl(input: BatchInput): Promise<BatchResult> {
  const { runId, startTime } = workflowInfo();
  const window = windowFor(input);
  const progress: BatchProgress = { stage: 'extracting', window, paused: false, round: 1, rows: null, verdict: null, note: '' };
  setHandler(defineQuery<BatchProgress>(batchProgressQuery), () => progress);
  setHandler(defineSignal(pauseSignal), () => void (progress.paused = true));
  setHandler(defineSignal(resumeSignal), () => void (progress.paused = false));
  upsertSearchAttributes([{ key: keys.windowStart, value: new Date(window.start) }]);
  const report: RunReport = { runId, window, publish: input.publish, startedMs: startTime.getTime(), rows: null, quality: null, durations: {} };
  try {
    const result = await runUntilStaged(input, progress, report);
    await dropRun(runId, true);
    return result;
  } catch (error) {
    await CancellationScope.nonCancellable(() => giveUp(error, input, progress, report)).catch((second: unknown) => void (progress.note += `; then: ${messageOf(second)}`));
    throw error; // the first failure is the one to tell
  }
}

/** The window that was given, or the one that the schedule means: never the clock's. */
function windowFor({ window, intervalSeconds, windowHours }: BatchInput): BatchWindow {
  const scheduled = workflowInfo().typedSearchAttributes.get(scheduledStart);
  if (window === undefined && scheduled && isPositive(intervalSeconds) && isPositive(windowHours)) return windowAt(scheduled.getTime(), intervalSeconds * 1000, windowHours * 3_600_000);
  const why = whyNoWindow(window);
  if (why) throw ApplicationFailure.nonRetryable(`${why}; only a run of the schedule may leave the window out`, 'bad_argument');
  return window!;
}

const isPositive = (value: unknown): value is number => typeof value === 'number' && value > 0;

/** Staging is a cache: when it is gone, the source is read again. */
async function runUntilStaged(input: BatchInput, progress: BatchProgress, report: RunReport): Promise<BatchResult> {
  for (; ; progress.round += 1) {
    try {
      return await runOnce(input, progress, report);
    } catch (error) {
      if (!isStagingLost(error) || progress.round === roundsMost) throw error;
      progress.note = 'what was staged is gone: reading the source again';
    }
  }
}

const isStagingLost = (error: unknown): boolean => error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === 'staging_lost';

async function runOnce(input: BatchInput, progress: BatchProgress, report: RunReport): Promise<BatchResult> {
  const { runId, window } = report;
  await enter(progress, 'extracting');
  const { set, rows, seconds: extract } = await extractTables({ runId, round: progress.round, snapshot: input.snapshot ?? null });
  Object.assign(report, { rows, durations: { extract } });
  progress.rows = rows;

  await enter(progress, 'checking');
  const quality = await checkQuality({ set, window, ...(input.acceptLoss && { acceptLoss: true }) });
  Object.assign(report, { quality, durations: { ...report.durations, quality: quality.seconds } });
  progress.verdict = quality.verdict;
  upsertSearchAttributes([{ key: keys.verdict, value: quality.verdict }]);
  if (quality.verdict === 'block') throw ApplicationFailure.nonRetryable(`the quality gate blocked this run: ${headline(quality)}`, 'quality_blocked');

  await enter(progress, 'transforming');
  const { set: records, insights, seconds: transform } = await transformTables({ set, window });
  Object.assign(report, { durations: { ...report.durations, transform } });

  await enter(progress, 'loading');
  const loaded = await loadRecords({ set: records, report });
  upsertSearchAttributes([{ key: keys.rowsLoaded, value: loaded.records }]);
  const durations = { ...report.durations, load: loaded.seconds };
  await enter(progress, 'done', loaded.records);
  return { runId, window, verdict: quality.verdict, findings: quality.findings, rows, records: insights.records_processed, isLatest: loaded.isLatest, durations };
}

/** A pause takes effect between steps: what is in work is finished. */
async function enter(progress: BatchProgress, stage: BatchStage, records = 0): Promise<void> {
  if (stage !== 'done') await condition(() => !progress.paused);
  progress.stage = stage;
  upsertSearchAttributes([{ key: keys.stage, value: stage }]);
  setCurrentDetails(describe(progress, records));
}

function describe({ stage, window, round, rows, verdict, note }: BatchProgress, records: number): string {
  const read = rows ? `${Object.values(rows).reduce((sum, count) => sum + count, 0)} rows read` : '';
  const parts = [`**${stage}**`, `window ${window.start} – ${window.end}`, read, verdict ? `quality: ${verdict}` : '', records > 0 ? `${records} records loaded` : '', round > 1 ? `round ${round}` : '', note];
  return parts.filter((part) => part !== '').join(' · ');
}

const headline = ({ findings }: QualityResult): string =>
  findings
    .filter(({ severity }) => severity === 'block')
    .map(({ detail }) => detail)
    .join('; ');

/** What a blocked run has staged goes by `recordFailure`. A cancelled run is nobody's failure. */
async function giveUp(error: unknown, input: BatchInput, progress: BatchProgress, report: RunReport): Promise<void> {
  const isBlocked = progress.verdict === 'block';
  const why = messageOf(error);
  progress.stage = isCancellation(error) ? 'cancelled' : isBlocked ? 'blocked' : 'failed';
  progress.note = isCancellation(error) ? '' : why;
  upsertSearchAttributes([{ key: keys.stage, value: progress.stage }]);
  setCurrentDetails(describe(progress, 0));
  if (!isBlocked) await dropRun(report.runId, false);
  if (isCancellation(error)) return;
  const isScheduled = input.window === undefined;
  const failures = await recordFailure(report, { verdict: progress.verdict, why }, isScheduled);
  if (isScheduled) await pauseSchedule(failures, why);
}
