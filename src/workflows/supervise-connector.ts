/**
 * Looks after the connector for as long as the pipeline lives: restarts it with growing pauses, and has tables read again
 * that must be. Invariant: what cannot be mended by a restart is told in `cdc:status`, never retried in silence.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ActivityFailure, ParentClosePolicy, continueAsNew, defineQuery, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, sleep, startChild, workflowInfo } from '@temporalio/workflow';
import { rebuildWorkflowId, supervisorStateQuery, type Finding, type RebuildInput, type SupervisorActivities, type SupervisorState } from './contract.ts';
import { messageOf } from './failure-text.ts';
import { rebuildReplica } from './rebuild-replica.ts';

const retry = { initialInterval: '1 second', maximumInterval: '30 seconds' } as const;
const act = proxyActivities<SupervisorActivities>({ startToCloseTimeout: '2 minutes', retry });
const { watchPipeline } = proxyActivities<Pick<SupervisorActivities, 'watchPipeline'>>({
  startToCloseTimeout: '15 minutes',
  heartbeatTimeout: '20 seconds',
  retry: { ...retry, maximumInterval: '10 seconds' },
});

const failuresMax = 8;
const probeMs = 5 * 60_000;
/** After a server has refused what time alone does not heal: a person may, at any time. */
const restMs = 30_000;
/** Pause after restart number `failures`: 2 s, 4 s, … a minute; with the breaker open, five. */
const pauseMs = (failures: number): number => (failures >= failuresMax ? probeMs : Math.min(1000 * 2 ** failures, 60_000));

export async function superviseConnector(state: SupervisorState = { failures: 0, breakerOpen: false, notBeforeMs: 0, last: '' }): Promise<never> {
  setHandler(defineQuery<SupervisorState>(supervisorStateQuery), () => state);
  for (;;) {
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof superviseConnector>(state);
    try {
      await respond(state, await watchPipeline(state.failures, Math.max(0, state.notBeforeMs - Date.now())));
    } catch (error) {
      if (!(error instanceof ActivityFailure) || isCancellation(error)) throw error;
      tell(state, `refused: ${messageOf(error)}; trying again in ${restMs / 1000} s`);
      await sleep(restMs);
    }
  }
}

async function respond(state: SupervisorState, finding: Finding): Promise<void> {
  if (finding.kind !== 'quiet') tell(state, 'why' in finding ? `${finding.kind}: ${finding.why}` : finding.kind);
  switch (finding.kind) {
    case 'quiet':
      return;
    case 'failed':
    case 'silent':
      return restart(state, finding.kind === 'failed', finding.why);
    case 'recovered':
      if (state.breakerOpen) await act.reportConnector('');
      Object.assign(state, { failures: 0, breakerOpen: false, notBeforeMs: 0 });
      return;
    case 'slot':
      return act.haltForSlot(finding.why);
    case 'stale':
      return startRebuild({ tables: [finding.table], mode: 'snapshot', why: finding.why });
  }
}

async function restart(state: SupervisorState, onlyFailed: boolean, why: string): Promise<void> {
  await act.restartConnector(onlyFailed);
  state.failures += 1;
  state.notBeforeMs = Date.now() + pauseMs(state.failures);
  if (state.failures < failuresMax || state.breakerOpen) return;
  state.breakerOpen = true;
  await act.reportConnector(`the connector was restarted ${failuresMax} times in vain (${why}); it is tried every ${probeMs / 60_000} minutes: see logs/connect.log`);
}

/** The rebuild outlives this run. One that is already there does the same. */
async function startRebuild(input: RebuildInput): Promise<void> {
  try {
    await startChild(rebuildReplica, {
      workflowId: rebuildWorkflowId(input.tables, input.mode),
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: 'ABANDON',
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    if (patched('rest-beside-a-rebuild')) await sleep('2 seconds'); // it is announced soon, and other tables may wait
  }
}

function tell(state: SupervisorState, last: string): void {
  state.last = last;
  setCurrentDetails(last);
}
