/**
 * Reads tables again, from their topic or from the source, and removes what was in Redis only.
 * Invariant: rows are removed only after everything that was read again is applied, and nothing disturbed the reading.
 */
import { ActivityFailure, ApplicationFailure, CancellationScope, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, sleep, defineQuery, workflowInfo } from '@temporalio/workflow';
import { rebuildProgressQuery, type NotedEnd, type RebuildActivities, type RebuildInput, type RebuildProgress, type Round, type Scan } from './contract.ts';
import { messageOf } from './failure-text.ts';

const retry = { initialInterval: '1 second', maximumInterval: '30 seconds' } as const;
/** Servers may be away for as long as they like: each attempt is short, and what cannot work is not repeated. */
const act = proxyActivities<RebuildActivities>({ startToCloseTimeout: '2 minutes', retry });
/** They walk over all keys. */
const atWork = { startToCloseTimeout: '12 hours', heartbeatTimeout: '30 seconds', retry } as const;
const { rewindTables } = proxyActivities<Pick<RebuildActivities, 'rewindTables'>>(atWork);
const { sweepOlder } = proxyActivities<Pick<RebuildActivities, 'sweepOlder'>>({ ...atWork, cancellationType: 'WAIT_CANCELLATION_COMPLETED' });
/** They wait in slices of a few seconds: a worker that died is missed soon. */
const { followScan: lookAtScan, waitApplied } = proxyActivities<Pick<RebuildActivities, 'followScan' | 'waitApplied'>>({ startToCloseTimeout: '20 seconds', retry });

/** TRUNCATEs do not come in endless rows; whatever disturbs this often needs a person. */
const roundsMax = 10;

export async function rebuildReplica(input: RebuildInput): Promise<RebuildProgress> {
  const progress: RebuildProgress = { ...idle, mode: input.mode, tables: input.tables };
  setHandler(defineQuery<RebuildProgress>(rebuildProgressQuery), () => progress);
  try {
    const plan = await act.planRebuild(input.tables, input.mode);
    Object.assign(progress, plan);
    await act.announceRebuild(input.tables, input.why);
    await modes[plan.mode](progress);
    enter(progress, 'done');
    return progress;
  } catch (error) {
    await CancellationScope.nonCancellable(() => abandon(progress, error));
    throw error;
  }
}

const idle = { phase: 'planning' as const, round: 0, rowsRead: 0, rowsTotal: 0, eventsLeft: 0, rowsSwept: 0, note: '' };

const modes = { topic: rebuildFromTopic, snapshot: rebuildBySnapshot, all: rebuildWithNewSlot };

async function rebuildFromTopic(progress: RebuildProgress): Promise<void> {
  enter(progress, 'applying');
  progress.round = 1;
  const { round, ends } = await rewindTables(progress.tables);
  await applyUpTo(progress, ends);
  const isUndisturbed = !patched('undisturbed-topic') || (await act.isUndisturbed(round));
  if (isUndisturbed && (await sweepAndFinish(progress, round))) return;
  Object.assign(progress, { mode: 'snapshot', round: 0, note: 'truncated, altered or begun anew while its topic was read: reading from the source instead' });
  await rebuildBySnapshot(progress);
}

/** What the topics hold is applied before the generations are raised: a history without its deletes must not come under the new ones. */
async function rebuildBySnapshot(progress: RebuildProgress): Promise<void> {
  const { tables } = progress;
  await readUndisturbed(progress, async (signalId) => {
    if (patched('drained-first')) await applyUpTo(progress, await act.noteEnds(tables), 'draining');
    const begun = await act.beginRound(tables);
    await act.requestSnapshot(tables, signalId);
    return (await followScan(progress, begun, false)) ? begun : null;
  });
}

async function rebuildWithNewSlot(progress: RebuildProgress): Promise<void> {
  const { tables } = progress;
  await readUndisturbed(progress, async () => {
    enter(progress, 'draining');
    await act.stopConnector();
    await applyUpTo(progress, await act.noteEnds(tables), 'draining');
    const begun = await act.beginRound(tables, true);
    await act.resetSource();
    await act.resumeConnector();
    return (await followScan(progress, begun, true)) ? begun : null;
  });
}

/**
 * Reads, waits until it is applied, and sweeps; all again when the tables were truncated, altered or begun anew meanwhile.
 * `read` returns null when it must be done again at once.
 */
async function readUndisturbed(progress: RebuildProgress, read: (signalId: string) => Promise<Round | null>): Promise<void> {
  for (let disturbed = 0; disturbed < roundsMax; ) {
    progress.round += 1;
    const round = await read(`rebuild-${workflowInfo().runId}-${progress.round}`);
    if (round === null) {
      progress.note = 'the connector began anew: reading it again';
      continue;
    }
    await applyUpTo(progress, await act.noteEnds(progress.tables));
    if ((await act.isUndisturbed(round)) && (await sweepAndFinish(progress, round))) return;
    disturbed += 1;
    progress.note = 'truncated, altered or begun anew while it was read: reading it again';
  }
  throw ApplicationFailure.nonRetryable(`disturbed ${roundsMax} times while it was read`, 'rebuild_disturbed');
}

/** False when what was asked for is forgotten: the connector began anew. */
async function followScan(progress: RebuildProgress, round: Round, initial: boolean): Promise<boolean> {
  enter(progress, 'reading');
  let scan: Scan = { cursor: round.cursor, begun: [], done: [], rowsRead: {}, rowsTotal: {}, failed: '' };
  while (scan.done.length < progress.tables.length) {
    scan = await lookAtScan(progress.tables, scan, initial);
    progress.rowsRead = sum(scan.rowsRead);
    progress.rowsTotal = sum(scan.rowsTotal);
    if (scan.lost) return false;
    if (scan.failed && !(await isDisturbed(round))) throw ApplicationFailure.nonRetryable(scan.failed, 'snapshot_failed');
    if (scan.failed) return true; // disturbed
  }
  return true;
}

/** Debezium gives up a table whose columns change while it reads: then it is the reading that is repeated. */
const isDisturbed = async (round: Round): Promise<boolean> => patched('disturbed-scan') && !(await act.isUndisturbed(round));

async function applyUpTo(progress: RebuildProgress, ends: NotedEnd[], phase: 'applying' | 'draining' = 'applying'): Promise<void> {
  enter(progress, phase);
  do progress.eventsLeft = await waitApplied(ends);
  while (progress.eventsLeft > 0);
}

/** Sweeps again what Redis has forgotten of it. False when it has forgotten the whole round. */
async function sweepAndFinish(progress: RebuildProgress, round: Round): Promise<boolean> {
  const token = workflowInfo().runId;
  do {
    enter(progress, 'sweeping');
    const swept = await sweepOlder(round, token);
    if (swept === null) return false;
    progress.rowsSwept += swept;
    if (isHistoryPartial(progress, round)) await act.forgetHistory(progress.tables);
  } while (await act.finishRebuild(round, progress.mode, token));
  return true;
}

/** Whether rows were something else than their topics tell: those are not to be taken for the whole again. */
function isHistoryPartial({ mode, rowsSwept }: RebuildProgress, { tables }: Round): boolean {
  if (mode !== 'snapshot') return mode === 'all';
  return (rowsSwept > 0 || tables.some(({ cut }) => cut !== '')) && patched('forget-history');
}

/** Nothing is undone: what was read again is true. What may be wrong now is told. */
async function abandon(progress: RebuildProgress, error: unknown): Promise<void> {
  const { mode, phase, tables } = progress;
  const cancelled = isCancellation(error);
  if (mode === 'snapshot' && phase === 'reading') await insist(() => act.stopSnapshot(tables, `stop-${workflowInfo().runId}`));
  if (mode === 'snapshot' && phase === 'sweeping' && patched('forget-history')) await insist(() => act.forgetHistory(tables));
  if (mode === 'all' && phase !== 'planning') await insist(() => act.resumeConnector());
  const isHarmless = phase === 'planning' || (cancelled && mode === 'snapshot');
  const command = mode === 'all' ? 'sluice resync --all' : `sluice resync ${tables.join(' ')}`;
  if (!cancelled) progress.note = messageOf(error);
  if (!isRefused(error)) await insist(() => act.abandonRebuild(tables, isHarmless ? '' : `the rebuild ${cancelled ? 'was cancelled' : `failed (${progress.note})`} while ${phase}: run ${command}`));
  enter(progress, cancelled ? 'cancelled' : 'failed');
}

/** A table that cannot be counted is told by its columns, and read again once they are restored: nothing is to be told besides. */
const isRefused = (error: unknown): boolean => error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === 'source_refused';

/** Until it is done, also by a server that refuses (a user that is missing, a password that is wrong): left out, the tables would be called rebuilding for ever. */
async function insist(step: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof ActivityFailure)) throw error;
      await sleep('30 seconds');
    }
  }
}

function enter(progress: RebuildProgress, phase: RebuildProgress['phase']): void {
  progress.phase = phase;
  setCurrentDetails(`${progress.mode} of ${progress.tables.join(', ')}: ${phase}${progress.round > 1 ? ` (round ${progress.round})` : ''}`);
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0);
