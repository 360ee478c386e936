/** `sluice backfill`: the batch over windows of the past, as one durable workflow. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { access } from '../access.ts';
import { connectRedis } from '../adapters/redis.ts';
import type { TemporalClient } from '../adapters/temporal.ts';
import { inspectWindows } from '../batch/windows.ts';
import { loadSettings } from '../config.ts';
import { whyNoSpan, windowCount, windowOf, type WindowSpan } from '../domain/batch-window.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { projectRoot } from '../stack/project.ts';
import {
  backfillDefaults,
  backfillPolicies,
  backfillProgressQuery,
  backfillWorkflowId,
  backfillWorkflowType,
  isWanted,
  pauseSignal,
  resumeSignal,
  type BackfillInput,
  type BackfillPolicy,
  type BackfillProgress,
} from '../workflows/batch-contract.ts';
import { taskQueue } from '../workflows/contract.ts';
import { parseSeconds, parseTime } from './duration.ts';
import { startAndFollow, unlessAway, withTemporal, type ProgressView } from './follow-workflow.ts';

interface Options {
  from?: string;
  to?: string;
  every?: number;
  policy: BackfillPolicy;
  concurrency: number;
  id?: string;
  dryRun?: true;
  wait?: true;
  json?: true;
}

export function registerBackfill(program: Command): void {
  const backfill = program
    .command('backfill')
    .description('Run the batch for windows of the past; what is published as the latest result stays')
    .option('--from <time>', 'start of the first window, UTC, inclusive: 2026-11-01 or 2026-11-01T06:00:00Z', parseTime)
    .option('--to <time>', 'end of the last window, UTC, exclusive', parseTime)
    .option('--every <duration>', 'length of a window: 1d, 6h, 30m (default: 1d)', parseSeconds)
    .addOption(new Option('--policy <policy>', 'which windows: none = those without a result, failed = those that failed too, all').choices(backfillPolicies).default(backfillDefaults.policy))
    .option('--concurrency <n>', 'runs at once, 1 to 16', parseConcurrency, backfillDefaults.concurrency)
    .option('--id <id>', 'name of this backfill; by default made of its span, so that the same one never runs twice at once')
    .option('--dry-run', 'say which windows would run, and end')
    .option('--wait', 'show how far it is until it is over')
    .option('--json', 'the result as one JSON object')
    .action((options: Options) => startBackfill(backfill, options));
  backfill
    .command('status')
    .description('Show how far a backfill is, or which are running')
    .argument('[id]', 'the backfill, as sluice backfill has named it; without it, all that are running')
    .option('--json', 'as one JSON object')
    .action((id: string | undefined, _options: object, command: Command) => (id === undefined ? listBackfills(wantsJson(command)) : showBackfill(id, wantsJson(command))));
  const told = (name: string, description: string, done: string, act: (temporal: TemporalClient, workflow: string) => Promise<boolean>): void => {
    backfill
      .command(name)
      .description(description)
      .argument('<id>', 'the backfill, as sluice backfill has named it')
      .option('--json', 'as one JSON object')
      .action((id: string, _options: object, command: Command) => change(id, done, act, wantsJson(command)));
  };
  told('pause', 'Start no further windows; those in work stop before their next step', 'paused', (temporal, workflow) => temporal.signalWorkflow(workflow, pauseSignal));
  told('resume', 'Go on', 'resumed', (temporal, workflow) => temporal.signalWorkflow(workflow, resumeSignal));
  told('cancel', 'Stop it and the windows in work; windows that are done stay', 'being cancelled', (temporal, workflow) => temporal.cancelWorkflow(workflow));
}

/** The option is the command's and its parent's: whichever took it. */
const wantsJson = (command: Command): boolean => command.optsWithGlobals<{ json?: true }>().json === true;

function parseConcurrency(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 16) throw new InvalidArgumentError('Give a whole number from 1 to 16.');
  return count;
}

async function startBackfill(command: Command, { from, to, every = backfillDefaults.everySeconds, policy, concurrency, id, dryRun, wait, json }: Options): Promise<void> {
  if (from === undefined || to === undefined) return command.error('error: give --from and --to');
  const span: WindowSpan = { from, to, everySeconds: every };
  const why = whyNoSpan(span) || (Date.parse(to) > Date.now() ? `--to ${to} is not over yet` : '');
  if (why) return command.error(`error: cannot backfill: ${why}`);
  if (dryRun) return showPlan(span, policy, json === true);
  const name = id ?? `${from}_${to}_${every}s`;
  const workflowId = backfillWorkflowId(name);
  const input: BackfillInput = { ...span, policy, concurrency };
  await withTemporal((temporal) =>
    startAndFollow(
      temporal,
      { id: workflowId, type: backfillWorkflowType, taskQueue, args: [input], note: `${windowCount(span)} windows of ${every} s from ${from}, policy ${policy}` },
      viewOf(name),
      { ...(wait ? {} : { detach: true }), ...(json && { json }) },
    ),
  );
}

const viewOf = (name: string): ProgressView<BackfillProgress> => ({
  query: backfillProgressQuery,
  describe: describeBackfill,
  phase: ({ paused }) => (paused ? 'paused' : 'running'),
  share: ({ completed, skipped, failed, total }) => (completed + skipped + failed) / total,
  howTo: `Look at it: npx sluice backfill status ${name}. Pause, resume or cancel it: the same with that word.`,
});

/** Only asks: what is running or there is left alone. */
async function showPlan(span: WindowSpan, policy: BackfillPolicy, json: boolean): Promise<void> {
  const settings = loadSettings(undefined, projectRoot);
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-backfill', failFast: true });
  try {
    await withTemporal(async (temporal) => {
      const plan: { start: string; end: string; state: string; runs: boolean }[] = [];
      const windows = Array.from({ length: windowCount(span) }, (_, at) => windowOf(span, at));
      for (let at = 0; at < windows.length; at += 100) {
        const page = windows.slice(at, at + 100);
        const states = await inspectWindows({ redis, keys: createKeys(settings.REDIS_KEY_PREFIX), temporal }, page);
        plan.push(...page.map((window, i) => ({ ...window, state: states[i]!, runs: isWanted(policy, states[i]!) })));
      }
      if (json) console.log(JSON.stringify({ windows: plan }, null, 2));
      else {
        for (const { start, end, state, runs } of plan) console.log(`${start} – ${end}  ${state.padEnd(8)} ${runs ? 'would run' : 'skipped'}`);
        console.log(`${plan.filter(({ runs }) => runs).length} of ${plan.length} windows would run.`);
      }
    });
  } finally {
    await redis.close();
  }
}

function listBackfills(json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const running = await temporal.listRunning(backfillWorkflowType);
    if (json) console.log(JSON.stringify({ running }, null, 2));
    else console.log(running.length === 0 ? 'No backfill is running.' : running.join('\n'));
  });
}

function showBackfill(name: string, json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const id = backfillWorkflowId(name);
    const state = await temporal.describeWorkflow(id);
    if (!state) throw unknown(name);
    const progress = (await unlessAway(() => temporal.queryWorkflow<BackfillProgress>(id, backfillProgressQuery))) ?? null;
    if (json) console.log(JSON.stringify({ id, ...state, progress }, null, 2));
    else console.log(`${id}: ${state.status.toLowerCase()}, since ${state.startedAt.toISOString()} · ${progress ? describeBackfill(progress) : 'waiting for the worker'}`);
  });
}

function change(name: string, done: string, act: (temporal: TemporalClient, workflow: string) => Promise<boolean>, json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const id = backfillWorkflowId(name);
    const state = await temporal.describeWorkflow(id);
    if (!state) throw unknown(name);
    if (state.status !== 'RUNNING') throw new PipelineError('bad_argument', `${id} is over (${state.status.toLowerCase()})`);
    await act(temporal, id);
    console.log(json ? JSON.stringify({ id, result: done }, null, 2) : `${id} is ${done}.`);
  });
}

const unknown = (name: string): PipelineError => new PipelineError('bad_argument', `There is no backfill ${name}: sluice backfill tells its name when it starts it; all are in Temporal's web interface as workflows of type ${backfillWorkflowType}`);

function describeBackfill({ total, completed, skipped, failed, failedEnds, running, paused }: BackfillProgress): string {
  const parts = [
    `${completed + skipped + failed} of ${total} windows${paused ? ' (paused)' : ''}`,
    `${completed} run, ${skipped} skipped, ${failed} failed`,
    running.length > 0 ? `in work: ${running.join(', ')}` : '',
    failedEnds.length > 0 ? `failed: ${failedEnds.join(', ')}${failed > failedEnds.length ? ' and more' : ''}` : '',
  ];
  return parts.filter((part) => part !== '').join(' · ');
}
