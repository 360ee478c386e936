/** `sluice batch run|pause|resume|status`: the scheduled batch, by hand. */
import type { Command } from 'commander';
import { access } from '../access.ts';
import type { ScheduleState, TemporalClient } from '../adapters/temporal.ts';
import { connectRedis } from '../adapters/redis.ts';
import { loadSettings, type Settings } from '../config.ts';
import { windowAt } from '../domain/batch-window.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { projectRoot } from '../stack/project.ts';
import { batchDetails, batchProgressQuery, batchScheduleId, batchWorkflowId, batchWorkflowType, type BatchInput, type BatchProgress, type BatchStage } from '../workflows/batch-contract.ts';
import { taskQueue } from '../workflows/contract.ts';
import { parseTime } from './duration.ts';
import { startAndFollow, unlessAway, withTemporal, type FollowOptions, type ProgressView } from './follow-workflow.ts';

const stages: BatchStage[] = ['extracting', 'checking', 'transforming', 'loading', 'done'];

const view: ProgressView<BatchProgress> = {
  query: batchProgressQuery,
  describe: describeRun,
  phase: ({ stage }) => stage,
  share: ({ stage }) => Math.max(0, stages.indexOf(stage)) / (stages.length - 1),
  howTo: "Look at it: npx sluice batch status, or Temporal's web interface.",
};

export function registerBatch(program: Command): void {
  const batch = program.command('batch').description('The batch: run it now, pause or resume its schedule, see what became of it');
  batch
    .command('run')
    .description('Run the batch now and wait for it')
    .option('--window-end <time>', 'end of the window instead of now, UTC, exclusive', parseTime)
    .option('--accept-loss', 'tables may have lost more than half their rows since the last good run')
    .option('--detach', 'start it and return')
    .option('--json', 'the result as one JSON object')
    .action(({ windowEnd, acceptLoss = false, ...options }: FollowOptions & { windowEnd?: string; acceptLoss?: boolean }, command: Command) => {
      if (windowEnd !== undefined && Date.parse(windowEnd) > Date.now()) command.error(`error: --window-end ${windowEnd} is not over yet`);
      return runBatch({ windowEnd, acceptLoss }, options);
    });
  batch
    .command('pause')
    .description('Start no further scheduled runs')
    .option('--note <text>', 'why', 'paused by sluice batch pause')
    .option('--json', 'as one JSON object')
    .action(({ note, json }: { note: string; json?: true }) => changeSchedule((temporal) => temporal.pauseSchedule(batchScheduleId, note), json ? { paused: true } : 'The schedule is paused. A run in work goes on.'));
  batch
    .command('resume')
    .description('Go on with scheduled runs')
    .option('--json', 'as one JSON object')
    .action(({ json }: { json?: true }) => changeSchedule((temporal) => temporal.resumeSchedule(batchScheduleId, 'resumed by sluice batch resume'), json ? { paused: false } : 'The schedule goes on.'));
  batch
    .command('status')
    .description('Show the schedule, what is running and the last result')
    .option('--json', 'as one JSON object')
    .action(({ json }: { json?: true }) => showStatus(json === true));
}

/** A run by hand for a window that is over is the newest only if its window is: it moves `latest` by the same rule as any. */
function runBatch({ windowEnd, acceptLoss }: { windowEnd: string | undefined; acceptLoss: boolean }, options: FollowOptions): Promise<void> {
  const { BATCH_WINDOW_HOURS } = loadSettings(undefined, projectRoot);
  const window = windowAt(windowEnd === undefined ? Date.now() : Date.parse(windowEnd), 1000, BATCH_WINDOW_HOURS * 3_600_000);
  const input: BatchInput = { window, publish: 'latest', ...(acceptLoss && { acceptLoss }) };
  return withTemporal((temporal) => startAndFollow(temporal, { id: batchWorkflowId(window.end), type: batchWorkflowType, taskQueue, args: [input], note: `batch of ${window.start} – ${window.end}, by hand`, details: batchDetails }, view, options));
}

function changeSchedule(change: (temporal: TemporalClient) => Promise<boolean>, done: string | { paused: boolean }): Promise<void> {
  return withTemporal(async (temporal) => {
    if (!(await change(temporal))) throw new PipelineError('bad_argument', `There is no schedule ${batchScheduleId}: the worker makes it when it starts (npx sluice up)`);
    console.log(typeof done === 'string' ? done : JSON.stringify({ schedule: batchScheduleId, ...done }, null, 2));
  });
}

interface BatchStatus {
  schedule: ScheduleState | null;
  running: Record<string, BatchProgress | null>;
  jobs: Record<string, string | null>;
  latest: object | null;
}

function showStatus(json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const schedule = await temporal.describeSchedule(batchScheduleId);
    const ids = await temporal.listRunning(batchWorkflowType);
    const answers = await Promise.all(ids.map((id) => unlessAway(() => temporal.queryWorkflow<BatchProgress>(id, batchProgressQuery))));
    const running = Object.fromEntries(ids.map((id, at) => [id, answers[at] ?? null]));
    const status: BatchStatus = { schedule, running, ...(await readResults(loadSettings(undefined, projectRoot))) };
    console.log(json ? JSON.stringify(status, null, 2) : describeStatus(status));
  });
}

async function readResults(settings: Settings): Promise<Pick<BatchStatus, 'jobs' | 'latest'>> {
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-batch-status', failFast: true });
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  try {
    const names = ['completed', 'failed', 'failed_in_a_row', 'last_run', 'last_duration'];
    const values = await redis.strings(names.map((name) => keys.batchJobs(name)));
    const [runId] = await redis.strings([keys.batchLatest('customers')]);
    const [summary] = runId ? await redis.strings([keys.batchSummary(runId)]) : [];
    return { jobs: Object.fromEntries(names.map((name, at) => [name, values[at] ?? null])), latest: summary ? (JSON.parse(summary) as object) : null };
  } finally {
    await redis.close();
  }
}

interface Summary {
  run_id: string;
  window: { start: string; end: string };
  quality_verdict: string;
  records_processed: Record<string, number>;
}

function describeStatus({ schedule, running, jobs, latest }: BatchStatus): string {
  const summary = latest as Summary | null;
  return [
    `schedule   ${schedule ? `every ${schedule.everySeconds} s, ${schedule.paused ? `PAUSED: ${schedule.note}` : `next ${schedule.nextAt?.toISOString() ?? 'unknown'}`}` : 'not made yet: the worker makes it when it starts'}`,
    ...Object.entries(running).map(([id, progress]) => `running    ${id}: ${progress ? describeRun(progress) : 'waiting for the worker'}`),
    `runs       ${jobs['completed'] ?? 0} completed, ${jobs['failed'] ?? 0} failed (${jobs['failed_in_a_row'] ?? 0} scheduled ones in a row), the last one ${jobs['last_run'] ?? 'never'}${jobs['last_duration'] ? `, ${jobs['last_duration']} s` : ''}`,
    `latest     ${summary ? `${summary.run_id}, window ${summary.window.start} – ${summary.window.end}, quality ${summary.quality_verdict}, records of ${Object.entries(summary.records_processed).map(([table, count]) => `${table} ${count}`).join(', ')}` : 'none'}`,
  ].join('\n');
}

function describeRun({ stage, window, paused, round, rows, verdict, note }: BatchProgress): string {
  const read = rows ? `${Object.values(rows).reduce((sum, count) => sum + count, 0)} rows read` : '';
  return [`${stage}${paused ? ' (paused)' : ''}`, `window ${window.start} – ${window.end}`, read, verdict ? `quality ${verdict}` : '', round > 1 ? `round ${round}` : '', note].filter((part) => part !== '').join(' · ');
}
