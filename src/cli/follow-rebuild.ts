/** Starts a rebuild and shows how far it is. */
import type { TemporalClient } from '../adapters/temporal.ts';
import { PipelineError } from '../domain/errors.ts';
import { tables } from '../domain/tables/registry.ts';
import { rebuildEverythingId, rebuildProgressQuery, rebuildWorkflowId, taskQueue, type RebuildInput, type RebuildProgress } from '../workflows/contract.ts';
import { startAndFollow, withTemporal, type FollowOptions, type ProgressView } from './follow-workflow.ts';

export const replicated = tables.map(({ name }) => name);

const view: ProgressView<RebuildProgress> = {
  query: rebuildProgressQuery,
  describe: describeProgress,
  phase: ({ phase }) => phase,
  share: ({ rowsRead, rowsTotal }) => (rowsTotal > 0 ? rowsRead / rowsTotal : 0),
  howTo: 'Look at it: npx sluice rebuild status. Stop it: npx sluice rebuild cancel.',
};

/** Exit code 1 when it did not end well. One that is running already is followed. */
export function requestRebuild(input: RebuildInput, options: FollowOptions): Promise<void> {
  const id = rebuildWorkflowId(input.tables, input.mode);
  return withTemporal(async (temporal) => {
    await refuseOverlap(temporal, id);
    await startAndFollow(temporal, { id, type: 'rebuildReplica', taskQueue, args: [input], note: input.why }, view, options);
  });
}

/** A table is rebuilt by one workflow at a time: two would start each other over. */
async function refuseOverlap(temporal: TemporalClient, id: string): Promise<void> {
  const others = id === rebuildEverythingId ? replicated.map((table) => rebuildWorkflowId([table], 'topic')) : [rebuildEverythingId];
  for (const other of others) {
    if ((await temporal.describeWorkflow(other))?.status !== 'RUNNING') continue;
    throw new PipelineError('bad_argument', `${other} is running: wait for it (npx sluice rebuild status), or stop it (npx sluice rebuild cancel)`);
  }
}

/** One line; begins with the phase. */
export function describeProgress({ mode, phase, tables, round, rowsRead, rowsTotal, eventsLeft, rowsSwept, note }: RebuildProgress): string {
  const figures: Record<RebuildProgress['phase'], string> = {
    planning: '',
    draining: `${eventsLeft} events left`,
    reading: rowsTotal > 0 ? `${rowsRead} of ${rowsTotal} rows` : `${rowsRead} rows`,
    applying: `${eventsLeft} events left`,
    sweeping: '',
    done: `${rowsRead > 0 ? `${rowsRead} rows read, ` : ''}${rowsSwept} stale rows removed`,
    cancelled: '',
    failed: '',
  };
  const parts = [`${phase} ${tables.length === replicated.length ? 'all tables' : tables.join(', ')}`, mode, figures[phase], round > 1 ? `round ${round}` : '', note];
  return parts.filter((part) => part !== '').join(' · ');
}
