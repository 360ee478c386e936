import { setTimeout as delay } from 'node:timers/promises';
import { PipelineError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Repeats `attempt` while its failure is one that time heals, saying once what it waits for. */
export async function waitFor<T>(what: string, log: Logger, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let waitMs = 200, told = false; ; waitMs = Math.min(waitMs * 2, 5000)) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || !(error instanceof PipelineError) || error.action !== 'retry') throw error;
      if (!told) log.warn({ reason: error.message }, `waiting for ${what}`);
      told = true;
    }
    await delay(waitMs, undefined, { signal });
  }
}
