/** Runs a program to its end. A failure carries the last lines it printed, and its children die with it. */
import { spawn } from 'node:child_process';
import { PipelineError } from '../domain/errors.ts';
import { errnoOf } from './errno.ts';

export interface RunOptions {
  env: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** Written to its standard input. */
  input?: string;
  signal?: AbortSignal;
}

const keptChars = 4000;

/** Resolves with what it printed last. Throws server_failed with `what` and the last lines when it ends badly. */
export function runCommand(what: string, file: string, args: string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const { input, signal, ...rest } = options;
    const child = spawn(file, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    let printed = '';
    const keep = (chunk: Buffer): void => {
      printed = (printed + chunk.toString()).slice(-keptChars);
    };
    const abort = (): void => killGroup(child.pid);
    signal?.addEventListener('abort', abort, { once: true });
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.stdin.on('error', (error) => keep(Buffer.from(error.message))).end(input ?? '');
    child.on('error', (error) => reject(new PipelineError('server_failed', `${what}: ${error.message}`, { cause: error })));
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', abort);
      if (signal?.aborted) reject(new PipelineError('server_failed', `${what} was interrupted`));
      else if (code === 0) resolve(printed);
      else reject(new PipelineError('server_failed', `${what} failed (${killedBy ?? `exit code ${code}`}):\n${lastLines(printed)}`));
    });
    if (signal?.aborted) abort();
  });
}

/** The last non-empty lines of what a program has printed, indented: those that name an error where its end has any; a JVM goes on for pages after them. */
export function lastLines(text: string, count = 12): string {
  const end = text.split('\n').filter((line) => line.trim() !== '').slice(-100);
  const errors = end.filter((line) => namesError.test(line) && !isBeside.test(line));
  return (errors.length > 0 ? errors : end).slice(-count).map((line) => `  ${line}`).join('\n');
}

const namesError = /\b(?:ERROR|FATAL)\b|(?:Error|Exception)\b/;
const isBeside = /^\s+at |\b(?:INFO|DEBUG)\b/;

/** Kills a detached child with everything it started; a group that is already gone is fine. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
