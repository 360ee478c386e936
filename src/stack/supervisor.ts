/**
 * All supervised programs of one data folder. Writes run/stack.json at every change; stops in the order of the data's way.
 * Invariant: one supervisor per data folder, and what a killed one left behind is stopped before a new one starts.
 */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { PipelineError } from '../domain/errors.ts';
import type { Hold } from '../telemetry/failpoint.ts';
import { errnoOf } from './errno.ts';
import type { Say } from './progress.ts';
import { layoutOf } from './project.ts';
import { killGroup } from './run-command.ts';
import { stopStages, type ServerSpec } from './server-spec.ts';
import { identityOf, isAlive, readStackRecord, unstarted, writeStackRecord, type ProcessName, type ProcessRecord } from './state-file.ts';
import { SupervisedProcess } from './supervised-process.ts';

const publishAgainMs = 1000;

export type Supervisor = ReturnType<typeof createSupervisor>;

/** `expected`: what will be started, so that status can name it from the first moment. `hold`: what a restart waits for. */
export function createSupervisor(dataDir: string, say: Say, expected: ProcessName[], hold: Hold) {
  const layout = layoutOf(dataDir);
  const supervised = new Map<string, SupervisedProcess>();
  const paused = new Set<ProcessName>();
  const self = identityOf(process.pid) ?? { pid: process.pid, startTime: '' };
  let proven = false;
  let stopped: Promise<void> | undefined;
  const { publish, end } = keepWritten(layout.stateFile, say, () => {
    for (const folder of [layout.logs, layout.run]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const processes = expected.map((name): ProcessRecord => (paused.has(name) ? { ...unstarted(name), state: 'paused' } : (supervised.get(name)?.record ?? unstarted(name))));
    writeStackRecord(layout.stateFile, { supervisor: self, proven, processes });
  });

  async function start(spec: ServerSpec): Promise<void> {
    if (stopped) throw new PipelineError('server_failed', `${spec.name} is not started: the stack is stopping`);
    const logFile = layout.logOf(spec.name);
    if (existsSync(logFile)) renameSync(logFile, `${logFile}.1`);
    const one = new SupervisedProcess(spec, { logFile, say, onChange: publish, hold });
    supervised.set(spec.name, one);
    await one.start();
  }

  async function stopInOrder(): Promise<void> {
    paused.clear();
    for (const { names, budgetMs } of stopStages) {
      await Promise.all(names.flatMap((name) => supervised.get(name)?.stop(budgetMs) ?? []));
    }
    end();
  }

  publish();
  return {
    /** Starts a program and keeps it alive from then on. */
    start,
    /** Stops one program until `resume`. Others see it as paused, which is no fault. */
    pause: async (name: ProcessName): Promise<void> => {
      await supervised.get(name)?.stop(budgetOf(name));
      if (stopped) return;
      paused.add(name);
      publish();
    },
    resume: async (name: ProcessName): Promise<void> => {
      const one = supervised.get(name);
      if (!paused.delete(name) || !one) return;
      await start(one.spec);
    },
    isPaused: (name: ProcessName): boolean => paused.has(name),
    markProven: (): void => {
      proven = true;
      publish();
    },
    /** Stops everything, once; further calls wait for the same stop. */
    stop: (): Promise<void> => (stopped ??= stopInOrder()),
    kill: (): void => supervised.forEach((one) => one.kill()),
  };
}

/** A record that cannot be written (a full disk, a folder that is gone) is tried again, until the end: what runs is not let go of. */
function keepWritten(path: string, say: Say, write: () => void): { publish: () => void; end: () => void } {
  let again: NodeJS.Timeout | undefined;
  let wasTold = false;
  const publish = (): void => {
    clearTimeout(again);
    try {
      write();
      wasTold = false;
    } catch (error) {
      if (!wasTold) say(`${path} cannot be written (${errnoOf(error)}), so other commands do not see this stack as it is; trying again`);
      wasTold = true;
      again = setTimeout(publish, publishAgainMs).unref();
    }
  };
  return { publish, end: () => clearTimeout(again) };
}

const budgetOf = (name: ProcessName): number => stopStages.find(({ names }) => names.includes(name))!.budgetMs;

/** Stops what a supervisor that was killed has left running. Returns the names of what it stopped. */
export async function stopLeftovers(dataDir: string): Promise<string[]> {
  const record = readStackRecord(layoutOf(dataDir).stateFile);
  if (!record || isAlive(record.supervisor)) return [];
  const left = record.processes.filter(isAlive);
  for (const { names, budgetMs } of stopStages) {
    await Promise.all(left.filter(({ name }) => names.includes(name)).map((one) => stopProcess(one, budgetMs)));
  }
  return left.map(({ name }) => name);
}

async function stopProcess(one: ProcessRecord, budgetMs: number): Promise<void> {
  if (one.pid === null) return;
  const deadline = Date.now() + budgetMs;
  try {
    process.kill(one.pid, one.name === 'postgres' ? 'SIGINT' : 'SIGTERM');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error; // it has ended by itself, or by another who stops the stack
  }
  while (isAlive(one) && Date.now() < deadline) await wait(50);
  if (isAlive(one)) killGroup(one.pid);
  while (isAlive(one)) await wait(50);
}
