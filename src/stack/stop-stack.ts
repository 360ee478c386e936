/** Stops a stack from outside: its supervisor first, who stops the rest in order; then whatever had lost its supervisor. */
import { existsSync, realpathSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { PipelineError } from '../domain/errors.ts';
import { tryLock } from './lock.ts';
import { layoutOf } from './project.ts';
import { isAlive, readStackRecord, type ProcessIdentity } from './state-file.ts';
import { stopLeftovers } from './supervisor.ts';

/** The supervisor's own stages take at most 14.5 s. */
const supervisorBudgetMs = 20_000;

/**
 * Resolves when nothing of it runs any more: true when something had to be stopped. Throws server_failed when a
 * supervisor runs that the record does not tell of: its data must not be taken for nobody's. `onStopped` runs
 * before anybody can start it again; `lockBudgetMs`: how long another one who stops it is waited for.
 */
export async function stopStack(dataDir: string, { onStopped, lockBudgetMs = supervisorBudgetMs }: { onStopped?: () => void; lockBudgetMs?: number } = {}): Promise<boolean> {
  const supervisor = readStackRecord(layoutOf(dataDir).stateFile)?.supervisor;
  const wasAlive = supervisor !== undefined && isAlive(supervisor);
  if (wasAlive) await endSupervisor(supervisor);
  const lock = await lockOut(dataDir, lockBudgetMs);
  try {
    const left = await stopLeftovers(dataDir);
    onStopped?.();
    return wasAlive || left.length > 0;
  } finally {
    lock?.release();
  }
}

async function endSupervisor(supervisor: ProcessIdentity): Promise<void> {
  process.kill(supervisor.pid, 'SIGTERM');
  for (const deadline = Date.now() + supervisorBudgetMs; isAlive(supervisor) && Date.now() < deadline; ) await wait(50);
  if (isAlive(supervisor)) process.kill(supervisor.pid, 'SIGKILL');
  while (isAlive(supervisor)) await wait(50);
}

/** Nobody starts it until the lock is released; null when there is no folder to lock. */
async function lockOut(dataDir: string, budgetMs: number): Promise<{ release: () => void } | null> {
  if (!existsSync(dataDir)) return null;
  const path = realpathSync(dataDir);
  for (const deadline = Date.now() + budgetMs; ; await wait(50)) {
    const lock = await tryLock(path, 'stack');
    if (lock) return lock;
    if (Date.now() < deadline) continue;
    throw new PipelineError('server_failed', `A stack is starting or running in ${dataDir}, but its run/stack.json does not say which process it is: try again, or end its supervisor (node … sluice up) yourself.`);
  }
}
