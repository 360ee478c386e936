/**
 * One supervisor from its first line to its last: lock, leftovers, start, watch, stop.
 * Invariant: however it ends (Ctrl-C, a failed start, a bug), every process it started is stopped first.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { urlsOf } from '../access.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { createHold } from '../telemetry/failpoint.ts';
import { tryLock } from './lock.ts';
import { requireFreePorts } from './ports.ts';
import { createProgress, type Say } from './progress.ts';
import { layoutOf } from './project.ts';
import { settleSecrets } from './secrets.ts';
import { startStack } from './start.ts';
import { readStackRecord } from './state-file.ts';
import { expectedProcesses } from './status.ts';
import { createSupervisor, stopLeftovers, type Supervisor } from './supervisor.ts';
import { watchStack } from './watch.ts';

export interface RunStackOptions {
  print: Say;
  /** Figures every few seconds: for someone who looks, not for a log file. */
  showFigures: boolean;
  onHealthy: () => void;
}

/** npm and the terminal each pass a Ctrl-C on; only a signal that comes later than this means "again". */
const echoMs = 1000;

/** Resolves with true when a healthy stack was stopped on request, false when its start was interrupted. Throws when it failed. */
export async function runStack(given: Settings, { print, showFigures, onHealthy }: RunStackOptions): Promise<boolean> {
  const dataDir = given.SLUICE_DATA_DIR;
  const progress = createProgress(print);
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const lock = await tryLock(realpathSync(dataDir), 'stack');
  if (!lock) throw alreadyRunning(dataDir);
  const left = await stopLeftovers(dataDir);
  if (left.length > 0) progress.say(`Stopped what an earlier start had left running: ${left.join(', ')}`);

  await requireFreePorts(given);
  const settings = settleSecrets(given);
  const supervisor = createSupervisor(dataDir, progress.say, expectedProcesses(settings), createHold(settings.SLUICE_FAILPOINT_DIR));
  const stop = stopOnSignals(supervisor, progress.say);
  let healthy = false;
  try {
    await startStack({ settings, supervisor, progress, signal: stop });
    healthy = !stop.aborted;
    if (healthy) {
      progress.say('Healthy.');
      for (const [name, url] of Object.entries(urlsOf(settings))) print(`            ${name.padEnd(12)} ${url}`);
      onHealthy();
      await watchStack(settings, stop, showFigures ? progress.say : null);
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    if (!stop.aborted) progress.say('Stopping what was started …');
    await progress.step('Everything is stopped', () => supervisor.stop());
    lock.release();
  }
  return healthy;
}

function alreadyRunning(dataDir: string): PipelineError {
  const pid = readStackRecord(layoutOf(dataDir).stateFile)?.supervisor.pid;
  return new PipelineError(
    'port_taken',
    `The stack in ${dataDir} is already running (supervisor pid ${pid ?? 'unknown'}). Look at it with: npx sluice status. Stop it with: npx sluice down.`,
  );
}

function stopOnSignals(supervisor: Supervisor, say: Say): AbortSignal {
  const stop = new AbortController();
  let firstAt = 0;
  const onSignal = (name: string): void => {
    if (!stop.signal.aborted) {
      firstAt = Date.now();
      say(`${name}: stopping everything (again: kill at once)`);
      stop.abort();
      void supervisor.stop();
    } else if (Date.now() - firstAt > echoMs) {
      supervisor.kill();
      process.exit(1);
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return stop.signal;
}
