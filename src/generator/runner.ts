/**
 * Keeps the mock shop busy: read a bounded view, plan, apply, pause, again.
 * Invariant: nothing is remembered between batches but their number, so memory is flat, a restart resumes from the database,
 * and rows changed or removed by others cost at most one rolled-back batch.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../adapters/postgres.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { applyActions, readShop } from './apply.ts';
import { planBatch } from './scenario.ts';

export interface GeneratorOptions {
  db: Database;
  log: Logger;
  signal: AbortSignal;
  seed: number;
  recordsPerBatch: number;
  intervalMs: number;
  now: () => Date;
}

const backoffMsMax = 15_000;
const rowsMaxDefault = 200;

/** Runs until `signal` aborts. Waits for a PostgreSQL that is away; any other refusal is thrown. */
export async function runGenerator(options: GeneratorOptions): Promise<void> {
  const { db, log, signal, intervalMs } = options;
  let failures = 0;
  for (let batch = 0; !signal.aborted; batch += 1) {
    try {
      await runBatch(db, options, batch);
      if (failures > 0) log.info({ failures }, 'PostgreSQL takes batches again');
      failures = 0;
    } catch (error) {
      if (!mayPass(error)) throw error;
      failures += 1;
      log.warn({ code: error.code, ...error.details, retryInMs: delayMs(failures) }, `batch rolled back: ${error.message}`);
    }
    // An abort ends the pause early; the loop's condition then ends the run.
    await pause(failures > 0 ? delayMs(failures) : intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

async function runBatch(db: Database, options: GeneratorOptions, batch: number): Promise<void> {
  const { seed, recordsPerBatch: count, now } = options;
  const shop = await readShop(db, goldenFraction(seed + batch), Math.max(rowsMaxDefault, count));
  await applyActions(db, planBatch(shop, { seed: [seed, batch, shop.lastOrderId, shop.lastCustomerId], count, now: now() }));
}

/** Multiples of the golden ratio spread evenly: every part of the shop gets its turn, in a reproducible order. */
const goldenFraction = (n: number): number => (n * 0.618_033_988_749_895) % 1;

const delayMs = (failures: number): number => Math.min(250 * 2 ** Math.min(failures, 10), backoffMsMax);

/** The server is away, or someone else changed a row this batch relied on (classes 22, 23): read again and go on. */
function mayPass(error: unknown): error is PipelineError {
  if (!(error instanceof PipelineError)) return false;
  return error.action === 'retry' || /^2[23]/.test(String(error.details['sqlstate']));
}
