/**
 * Named points where a test makes this process die or stop. Armed by a file `<dir>/<name>` that holds `kill` or `stop`;
 * the file is taken away before acting, so one arming is one fault. Without a directory every point is free of cost.
 */
import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

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
