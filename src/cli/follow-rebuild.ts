/** Starts a rebuild and shows how far it is. The work is Temporal's: ending this command changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { connectTemporal, type TemporalClient } from '../adapters/temporal.ts';
import { access, loadSettings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { tables } from '../domain/tables/registry.ts';
import { projectRoot } from '../stack/project.ts';
import { rebuildEverythingId, rebuildProgressQuery, rebuildWorkflowId, taskQueue, type RebuildInput, type RebuildProgress } from '../workflows/contract.ts';

export interface FollowOptions {
  detach?: true;
  json?: true;
}

export const replicated = tables.map(({ name }) => name);

const pollMs = 500;
const lineMs = 5000;
const barWidth = 24;

export async function withTemporal(work: (temporal: TemporalClient) => Promise<void>): Promise<void> {
  const temporal = await connectTemporal(access.temporal(loadSettings(undefined, projectRoot)));
  try {
    await work(temporal);
  } finally {
    await temporal.close();
  }
}

/** Exit code 1 when it did not end well. One that is running already is followed. */
export function requestRebuild(input: RebuildInput, { detach, json }: FollowOptions): Promise<void> {
  const id = rebuildWorkflowId(input.tables, input.mode);
  return withTemporal(async (temporal) => {
    await refuseOverlap(temporal, id);
    const isNew = await temporal.startWorkflow({ id, type: 'rebuildReplica', taskQueue, args: [input], note: input.why });
    const howTo = 'Look at it: npx sluice rebuild status. Stop it: npx sluice rebuild cancel.';
    tell(isNew ? `Started ${id}.` : `${id} is running already: following it.`);
    if (detach) return tell(howTo);
    process.once('SIGINT', () => {
      tell(`\n${id} goes on. ${howTo}`);
      process.exit(0);
    });
    const { status, progress } = await follow(temporal, id);
    if (json) console.log(JSON.stringify({ id, status, ...progress }, null, 2));
    else console.log(`${id}: ${progress ? describeProgress(progress) : status.toLowerCase()}`);
    if (status !== 'COMPLETED') {
      process.exitCode = 1;
      tell(`${id} ended as ${status}: see npx sluice status and Temporal's web interface`);
    }
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

async function follow(temporal: TemporalClient, id: string): Promise<{ status: string; progress: RebuildProgress | null }> {
  let shown = '';
  let shownMs = 0;
  for (; ; await delay(pollMs)) {
    const state = await unlessAway(() => temporal.describeWorkflow(id));
    const progress = state === undefined ? undefined : await unlessAway(() => temporal.queryWorkflow<RebuildProgress>(id, rebuildProgressQuery));
    const text = progress ? describeProgress(progress) : `waiting for ${state === undefined ? 'Temporal' : 'the worker'}`;
    const isOver = state !== undefined && state?.status !== 'RUNNING';
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${isOver ? '' : `${bar(progress)} ${text}`}`);
    else if (!isOver && text !== shown && (progress?.phase !== shown.split(' ')[0] || Date.now() - shownMs >= lineMs)) {
      tell(text);
      shown = text;
      shownMs = Date.now();
    }
    if (isOver) return { status: state?.status ?? 'GONE', progress: progress ?? null };
  }
}

/** Undefined while Temporal, or for a query its worker, does not answer: then the rebuild is not lost, it waits. */
async function unlessAway<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'temporal_unavailable') return undefined;
    throw error;
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

function bar(progress: RebuildProgress | null | undefined): string {
  const share = progress && progress.rowsTotal > 0 ? Math.min(1, progress.rowsRead / progress.rowsTotal) : 0;
  const filled = Math.round(share * barWidth);
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`;
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
