/**
 * One work for many who need it done *after* they asked: what is under way may have looked too early, so it does not count.
 * Invariant: two runs never overlap, and begin at least `everyMs` apart.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** The returned function resolves when a run that began after the call has ended, and rejects with it; calls that wait share the run. */
export function freshRuns(everyMs: number, work: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  const begin = async (): Promise<void> => {
    await last;
    next = null;
    const run = work();
    last = Promise.allSettled([run, delay(everyMs)]);
    await run;
  };
  return () => (next ??= begin());
}
