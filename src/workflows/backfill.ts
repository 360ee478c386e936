/**
 * Runs the batch for each window of a span, some at once. State is counts and a cursor: a span may have any number of windows.
 * Invariant: a window is run by one workflow at a time, whoever asks; what is in work is finished before the workflow continues as new.
 */
import { ApplicationFailure, CancellationScope, ParentClosePolicy, condition, continueAsNew, defineQuery, defineSignal, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, startChild, workflowInfo, type ChildWorkflowHandle } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { whyNoSpan, windowCount, windowOf, type BatchWindow } from '../domain/batch-window.ts';
import {
  backfillDefaults,
  backfillPolicies,
  backfillProgressQuery,
  batchDetails,
  batchWorkflowId,
  isWanted,
  pauseSignal,
  resumeSignal,
  type BackfillActivities,
  type BackfillInput,
  type BackfillProgress,
  type BackfillRequest,
} from './batch-contract.ts';
import type { batchEtl } from './batch-etl.ts';

const { inspectWindows } = proxyActivities<BackfillActivities>({
  startToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  summary: 'which windows are there',
});

/** Windows that are looked at together, and of one history: some 12 events each. */
const sliceLength = 50;
const windowsPerRun = 200;
const failedEndsKept = 20;
const concurrencyMost = 16;

type Child = ChildWorkflowHandle<typeof batchEtl>;

export async function backfill(given: BackfillRequest): Promise<BackfillProgress> {
  const input: BackfillInput = { ...backfillDefaults, ...given };
  refuseBadInput(input);
  const progress: BackfillProgress = input.progress ?? { total: windowCount(input), decided: 0, completed: 0, skipped: 0, failed: 0, failedEnds: [], running: [], paused: false };
  const children = new Map<string, Child>();
  const inWork = new Set<Promise<void>>();
  setHandler(defineQuery<BackfillProgress>(backfillProgressQuery), () => progress);
  handlePause(progress, children);
  try {
    await runWindows(input, progress, children, inWork);
    await condition(() => inWork.size === 0);
  } catch (error) {
    await CancellationScope.nonCancellable(() => condition(() => inWork.size === 0));
    tell(progress, isCancellation(error) ? 'cancelled' : 'failed');
    throw error;
  }
  if (progress.decided < progress.total) return continueAsNew<typeof backfill>({ ...input, progress });
  tell(progress, 'done');
  if (progress.failed > 0) {
    throw ApplicationFailure.nonRetryable(`${progress.failed} of ${progress.total} windows failed, the first: ${progress.failedEnds.join(', ')}. Mend what they say, then run it again with policy failed`, 'windows_failed', progress);
  }
  return progress;
}

function refuseBadInput({ policy, concurrency, ...span }: BackfillInput): void {
  const why =
    whyNoSpan(span) ||
    (backfillPolicies.includes(policy) ? '' : `policy must be one of ${backfillPolicies.join(', ')}`) ||
    (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= concurrencyMost ? '' : `concurrency must be 1 to ${concurrencyMost}`);
  if (why) throw ApplicationFailure.nonRetryable(why, 'bad_argument');
}

/** Reaches the runs in work; they stop before their next step. One that has just ended cannot be told and need not be. */
function handlePause(progress: BackfillProgress, children: ReadonlyMap<string, Child>): void {
  const pass = async (signal: string): Promise<void> => {
    progress.paused = signal === pauseSignal;
    tell(progress, progress.paused ? 'paused' : 'running');
    await Promise.allSettled([...children.values()].map((child) => child.signal(signal)));
  };
  setHandler(defineSignal(pauseSignal), () => pass(pauseSignal));
  setHandler(defineSignal(resumeSignal), () => pass(resumeSignal));
}

/** Returns when every window is decided, or when this history is long enough. */
async function runWindows(input: BackfillInput, progress: BackfillProgress, children: Map<string, Child>, inWork: Set<Promise<void>>): Promise<void> {
  const until = Math.min(progress.total, progress.decided + windowsPerRun);
  while (progress.decided < until) {
    const windows = Array.from({ length: Math.min(sliceLength, until - progress.decided) }, (_, at) => windowOf(input, progress.decided + at));
    const states = await inspectWindows(windows);
    for (const [at, window] of windows.entries()) {
      if (workflowInfo().continueAsNewSuggested) return;
      await condition(() => !progress.paused && inWork.size < input.concurrency);
      progress.decided += 1;
      if (!isWanted(input.policy, states[at]!)) progress.skipped += 1;
      else {
        const run = runWindow(window, progress, children).finally(() => inWork.delete(run));
        inWork.add(run);
      }
      tell(progress, 'running');
    }
  }
}

/** Never rejects: what became of the window is counted, unless the backfill itself is cancelled. A run that somebody cancels alone has failed its window. */
async function runWindow(window: BatchWindow, progress: BackfillProgress, children: Map<string, Child>): Promise<void> {
  const { end } = window;
  progress.running.push(end);
  try {
    const child = await startChild<typeof batchEtl>('batchEtl', {
      workflowId: batchWorkflowId(end),
      args: [{ window, publish: 'window' }],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      staticSummary: `batch of ${window.start} – ${end}, backfilled`,
      staticDetails: batchDetails,
    });
    children.set(end, child);
    if (progress.paused && patched('pause-just-begun')) await Promise.allSettled([child.signal(pauseSignal)]); // it could not be reached before
    await child.result();
    progress.completed += 1;
  } catch (error) {
    if (isCancellation(error) && (CancellationScope.current().consideredCancelled || !patched('window-cancelled-alone'))) return;
    if (error instanceof WorkflowExecutionAlreadyStartedError) progress.skipped += 1;
    else {
      progress.failed += 1;
      if (progress.failedEnds.length < failedEndsKept) progress.failedEnds.push(end);
    }
  } finally {
    children.delete(end);
    progress.running = progress.running.filter((other) => other !== end);
  }
}

function tell({ total, completed, skipped, failed, running }: BackfillProgress, state: string): void {
  const parts = [`**${state}**`, `${completed + skipped + failed} of ${total} windows`, `${completed} run`, `${skipped} skipped`, `${failed} failed`, running.length > 0 ? `in work: ${running.join(', ')}` : ''];
  setCurrentDetails(parts.filter((part) => part !== '').join(' · '));
}
