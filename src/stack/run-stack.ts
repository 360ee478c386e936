/**
 * One supervisor from its first line to its last: lock, leftovers, start, watch, stop.
 * Invariant: however it ends (Ctrl-C, a failed start, a bug), every process it started is stopped first.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { urlsOf } from '../access.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { createHold, type Hold } from '../telemetry/failpoint.ts';
import { awaitRoom, rotateLogs } from './disk.ts';
import { tryLock } from './lock.ts';
import { requireFreePorts } from './ports.ts';
import { createProgress, type Say } from './progress.ts';
import { layoutOf } from './project.ts';
import { settleSecrets, type StackSettings } from './secrets.ts';
import { startStack } from './start.ts';
import { readStackRecord } from './state-file.ts';
import { createStatusReader, expectedProcesses } from './status.ts';
import { createSupervisor, stopLeftovers, type Supervisor } from './supervisor.ts';

export interface RunningStack {
  settings: StackSettings;
  supervisor: Supervisor;
  /** Aborted when it stops. */
  signal: AbortSignal;
  say: Say;
}

export interface RunStackOptions {
  print: Say;
  /** Shows what is being done and what is to come, below what was printed: for a terminal. */
  show?: (lines: string[]) => void;
  /** What `status` finds wrong at the end of the start; empty when healthy. */
  onStarted?: (problems: string[]) => void;
  /** Called once it runs; the stack goes on until the signal, whenever this resolves. */
  watch?: (stack: RunningStack) => Promise<void>;
}

/** What is still settling when the first change has been seen (the connector between its snapshot and the log) may take so long. */
const settleBudgetMs = 30_000;
/** npm and the terminal each pass a Ctrl-C on; only one that comes later than this means "again". A second `sluice down` never does. */
const echoMs = 1000;
const rotateMs = 10_000;

/** Resolves with true when a healthy stack was stopped on request, false when its start was interrupted. Throws when it failed. */
export async function runStack(given: Settings, { print, show, onStarted, watch }: RunStackOptions): Promise<boolean> {
  const dataDir = given.SLUICE_DATA_DIR;
  const progress = createProgress(print, { ...(show && { show }) });
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const lock = await tryLock(realpathSync(dataDir), 'stack');
  if (!lock) throw alreadyRunning(dataDir);
  const left = await stopLeftovers(dataDir);
  if (left.length > 0) progress.say(`Stopped what an earlier start had left running: ${left.join(', ')}`);

  await requireFreePorts(given);
  const settings = settleSecrets(given);
  const supervisor = createSupervisor(dataDir, progress.say, expectedProcesses(settings), holdRestarts(settings, progress.say));
  void keepLogsSmall(layoutOf(dataDir).logs);
  const stopping = stopOnSignals(supervisor, progress.say);
  const stop = stopping.signal;
  const stopped = new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  let started = false;
  try {
    await startStack({ settings, supervisor, progress, signal: stop });
    const problems = await progress.step('Every part says that it is healthy', () => settledProblems(settings, stop), { detail: (found) => (found.length === 0 ? 'yes' : 'no') });
    started = !stop.aborted;
    if (started) {
      progress.say(problems.length === 0 ? 'Healthy.' : `NOT HEALTHY: ${problems.join('; ')}`);
      for (const [name, url] of Object.entries(urlsOf(settings))) print(`            ${name.padEnd(12)} ${url}`);
      onStarted?.(problems);
      await watch?.({ settings, supervisor, signal: stop, say: progress.say });
      await stopped;
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    if (!stop.aborted) progress.say('Stopping what was started …');
    stopping.abort(); // steps that wait for what is stopped would wait on
    await progress.step('Stopping everything', () => supervisor.stop(), { detail: () => 'done' });
    lock.release();
  }
  return started;
}

/** A restart waits for a test that keeps the server away, and for room on the disk. */
function holdRestarts(settings: Settings, say: Say): Hold {
  const held = createHold(settings.SLUICE_FAILPOINT_DIR);
  return async (name, signal) => {
    await held(name, signal);
    await awaitRoom(settings.SLUICE_DATA_DIR, say, signal);
  };
}

async function keepLogsSmall(folder: string): Promise<never> {
  for (;;) {
    await wait(rotateMs, undefined, { ref: false });
    await rotateLogs(folder).catch(() => undefined);
  }
}

/** What `status` finds wrong, once that is nothing or has had its time. */
async function settledProblems(settings: Settings, signal: AbortSignal): Promise<string[]> {
  const readStatus = createStatusReader(settings);
  for (const deadline = Date.now() + settleBudgetMs; ; await wait(200, undefined, { signal })) {
    const { problems } = await readStatus();
    if (problems.length === 0 || Date.now() > deadline) return problems;
  }
}

function alreadyRunning(dataDir: string): PipelineError {
  const pid = readStackRecord(layoutOf(dataDir).stateFile)?.supervisor.pid;
  return new PipelineError(
    'port_taken',
    `The stack in ${dataDir} is already running (supervisor pid ${pid ?? 'unknown'}). Look at it with: npx sluice status. Stop it with: npx sluice down.`,
  );
}

function stopOnSignals(supervisor: Supervisor, say: Say): AbortController {
  const stop = new AbortController();
  let firstAt = 0;
  const onSignal = (name: string): void => {
    if (firstAt === 0) {
      firstAt = Date.now();
      stop.abort();
      say(`${name}: stopping everything (${name === 'SIGINT' ? 'again' : 'SIGINT'}: kill at once)`);
      void supervisor.stop();
    } else if (name === 'SIGINT' && Date.now() - firstAt > echoMs) {
      supervisor.kill();
      process.exit(1);
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return stop;
}
