/** Starts a workflow and shows how far it is. The work is Temporal's: ending the command changes nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { access } from '../access.ts';
import { connectTemporal, type TemporalClient, type WorkflowStart } from '../adapters/temporal.ts';
import { loadSettings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { projectRoot } from '../stack/project.ts';

export interface FollowOptions {
  detach?: true;
  json?: true;
}

/** How the progress of one kind of workflow is asked for and shown. */
export interface ProgressView<P> {
  query: string;
  /** One line; begins with the phase. */
  describe: (progress: P) => string;
  phase: (progress: P) => string;
  /** 0 … 1; 0 while it is not known. */
  share: (progress: P) => number;
  /** What else can be done, in a sentence. */
  howTo: string;
}

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

/** Starts it, or follows the one that is running already. Exit code 1 when it did not end well. */
export async function startAndFollow<P extends object>(temporal: TemporalClient, start: WorkflowStart, view: ProgressView<P>, { detach, json }: FollowOptions): Promise<void> {
  const { id } = start;
  const isNew = await temporal.startWorkflow(start);
  tell(isNew ? `Started ${id}.` : `${id} is running already: following it.`);
  if (detach) {
    tell(view.howTo);
    if (json) console.log(JSON.stringify({ id, status: 'RUNNING', started: isNew }, null, 2));
    return;
  }
  process.once('SIGINT', () => {
    tell(`\n${id} goes on. ${view.howTo}`);
    process.exit(0);
  });
  const { status, progress } = await follow(temporal, id, view);
  if (json) console.log(JSON.stringify({ id, status, ...progress }, null, 2));
  else console.log(`${id}: ${progress ? view.describe(progress) : status.toLowerCase()}`);
  if (status !== 'COMPLETED') {
    process.exitCode = 1;
    tell(`${id} ended as ${status}: see npx sluice status and Temporal's web interface`);
  }
}

async function follow<P>(temporal: TemporalClient, id: string, view: ProgressView<P>): Promise<{ status: string; progress: P | null }> {
  let shown = '';
  let phase = '';
  let shownMs = 0;
  for (; ; await delay(pollMs)) {
    const state = await unlessAway(() => temporal.describeWorkflow(id));
    const progress = state === undefined ? undefined : await unlessAway(() => temporal.queryWorkflow<P>(id, view.query));
    const text = progress ? view.describe(progress) : `waiting for ${state === undefined ? 'Temporal' : 'the worker'}`;
    const isOver = state !== undefined && state?.status !== 'RUNNING';
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${isOver ? '' : `${bar(progress ? view.share(progress) : 0)} ${text}`.slice(0, (process.stderr.columns || 80) - 1)}`);
    else if (!isOver && text !== shown && (!progress || view.phase(progress) !== phase || Date.now() - shownMs >= lineMs)) {
      tell(text);
      shown = text;
      phase = progress ? view.phase(progress) : '';
      shownMs = Date.now();
    }
    if (isOver) return { status: state?.status ?? 'GONE', progress: progress ?? null };
  }
}

/** Undefined while Temporal, or for a query its worker, does not answer: then the work is not lost, it waits. */
export async function unlessAway<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'temporal_unavailable') return undefined;
    throw error;
  }
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, share) * barWidth);
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`;
}

const tell = (line: string): void => void process.stderr.write(`${line}\n`);
