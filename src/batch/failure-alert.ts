/**
 * Scheduled runs that fail, as an alert: one for as many as fail in a row, until a run is published.
 * Invariant: the alert is named by the first of them, so that each further one is an occurrence of the same.
 */
import { alertIdOf, type AlertRef } from '../domain/alert.ts';
import type { AlertMessage } from '../domain/alert-message.ts';
import type { BatchWindow } from '../domain/batch-window.ts';
import { batchScheduleId, type BatchVerdict } from '../workflows/batch-contract.ts';
import type { FailedRow } from './publish.ts';

/** `since`: window end of the first run of the row. */
export const batchAlertRef = (since: string): AlertRef => ({ type: 'batch_failed', entity: batchScheduleId, episode: Date.parse(since) });

/** A run is told apart by its window's end, so one that is told twice counts once. */
export function batchAlert({ start, end }: BatchWindow, { runs, since }: FailedRow & { since: string }, verdict: BatchVerdict | null): AlertMessage {
  const ref = batchAlertRef(since);
  const at = Date.parse(end);
  return {
    ...ref,
    alertId: alertIdOf(ref),
    severity: 'HIGH',
    value: `${runs} in a row, the last ${verdict === 'block' ? 'blocked by the quality gate' : 'failed'}`,
    threshold: '0',
    window: `${start} to ${end}`,
    at,
    origin: `${batchScheduleId}-0:${at}`,
  };
}
