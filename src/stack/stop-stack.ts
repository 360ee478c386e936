/** Stops a stack from outside: its supervisor first, who stops the rest in order; then whatever had lost its supervisor. */
import { setTimeout as wait } from 'node:timers/promises';
import { layoutOf } from './project.ts';
import { isAlive, readStackRecord } from './state-file.ts';
import { stopLeftovers } from './supervisor.ts';

/** The supervisor's own stages take at most 14.5 s. */
const supervisorBudgetMs = 20_000;

/** Resolves when nothing of it runs any more: true when something had to be stopped. */
export async function stopStack(dataDir: string): Promise<boolean> {
  const record = readStackRecord(layoutOf(dataDir).stateFile);
  if (!record) return false;
  const { supervisor } = record;
  const wasAlive = isAlive(supervisor);
  if (wasAlive) process.kill(supervisor.pid, 'SIGTERM');
  for (const deadline = Date.now() + supervisorBudgetMs; isAlive(supervisor) && Date.now() < deadline; ) await wait(50);
  if (isAlive(supervisor)) process.kill(supervisor.pid, 'SIGKILL');
  while (isAlive(supervisor)) await wait(50);
  const left = await stopLeftovers(dataDir);
  return wasAlive || left.length > 0;
}
