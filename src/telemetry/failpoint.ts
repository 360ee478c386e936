/**
 * Named points where a test makes this process die, stop or wait. Armed by a file `<dir>/<name>` that holds `kill` or `stop`;
 * the file is taken away before acting, so one arming is one fault. A hold lasts as long as its file is there.
 * Without a directory every point is free of cost.
 */
import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const signals: Record<string, NodeJS.Signals> = { kill: 'SIGKILL', stop: 'SIGSTOP' };

export type Failpoint = (name: string) => void;

export function createFailpoint(dir: string | undefined): Failpoint {
  if (dir === undefined) return () => undefined;
  return (name) => {
    const path = join(dir, name);
    let action: string;
    try {
      action = readFileSync(path, 'utf8').trim();
      unlinkSync(path);
    } catch {
      return; // not armed, or another process took it
    }
    const signal = signals[action];
    if (signal) process.kill(process.pid, signal);
  };
}

export type Hold = (name: string, signal: AbortSignal) => Promise<void>;

const holdPollMs = 50;

/** Resolves once no file `<dir>/<name>` is there, or when aborted. */
export function createHold(dir: string | undefined): Hold {
  if (dir === undefined) return async () => undefined;
  return async (name, signal) => {
    while (existsSync(join(dir, name)) && !signal.aborted) await wait(holdPollMs, undefined, { signal }).catch(() => undefined);
  };
}
