/**
 * Scheduled runs that fail, as an alert: one for as many as fail in a row, until a run is the latest.
 * Invariant: the row is named by its first run, so each further one is an occurrence of the same alert; it is forgotten only when its
 * alert is over, so whoever dies in between is made up for by the next attempt.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { alertIdOf, type AlertRef } from '../domain/alert.ts';
import type { AlertMessage } from '../domain/alert-message.ts';
import type { Keys } from '../domain/keys.ts';
import { batchScheduleId, type BatchVerdict, type RunReport } from '../workflows/batch-contract.ts';

export interface FailureAlertDeps {
  redis: RedisStore;
  keys: Keys;
  /** Starts the alert, or tells it of another occurrence; false when it is over already. Safe to repeat. */
  raiseAlert: (alert: AlertMessage) => Promise<boolean>;
  /** Its cause is over. Safe to repeat. */
  endAlert: (alert: AlertRef) => Promise<unknown>;
}

/** `since`: what the row of failures is named by. A row whose alert a person has resolved begins anew with this run. */
export async function tellFailure(deps: FailureAlertDeps, report: RunReport, verdict: BatchVerdict | null, { runs, since }: { runs: number; since: string }): Promise<void> {
  if (await deps.raiseAlert(alertOf(report, verdict, runs, since))) {
    if ((await failingSince(deps)) === null) await deps.endAlert(refOf(since)); // a run by hand was published meanwhile
    return;
  }
  const { end } = report.window;
  await deps.redis.setFields(deps.keys.batchFailing, { since: end });
  await deps.raiseAlert(alertOf(report, verdict, runs, end));
}

/** To be called when a run has become the latest. */
export async function tellPublished(deps: FailureAlertDeps): Promise<void> {
  const since = await failingSince(deps);
  if (since === null) return;
  await deps.endAlert(refOf(since));
  await deps.redis.settle(deps.keys.batchFailing, [['since', since]]);
}

const failingSince = async ({ redis, keys }: FailureAlertDeps): Promise<string | null> => (await redis.hash(keys.batchFailing))['since'] ?? null;

const refOf = (since: string): AlertRef => ({ type: 'batch_failed', entity: batchScheduleId, episode: Date.parse(since) });

/** A run is told apart by its start, so one that is told twice counts once. */
function alertOf({ window: { start, end }, startedMs }: RunReport, verdict: BatchVerdict | null, runs: number, since: string): AlertMessage {
  const ref = refOf(since);
  return {
    ...ref,
    alertId: alertIdOf(ref),
    severity: 'HIGH',
    value: `${runs} in a row, the last ${verdict === 'block' ? 'blocked by the quality gate' : 'failed'}`,
    threshold: '0',
    window: `${start} to ${end}`,
    at: startedMs,
    origin: `${batchScheduleId}-0:${startedMs}`,
  };
}
