/** How an alert becomes, or reaches, its workflow. Safe to repeat: it is started once, and counts an occurrence once per origin. */
import { alertWorkflowId, type AlertRef } from '../domain/alert.ts';
import type { AlertMessage } from '../domain/alert-message.ts';
import { alertDetails, alertWorkflowType, occurrenceSignal, overSignal, type AlertInput } from '../workflows/alert-contract.ts';
import { taskQueue } from '../workflows/contract.ts';
import type { TemporalClient } from './temporal.ts';

export type AlertClient = Pick<TemporalClient, 'signalWithStart' | 'signalWorkflow'>;

/** False when this alert is over already. */
export function raiseAlert(temporal: AlertClient, message: AlertMessage): Promise<boolean> {
  const { type, severity, entity, value, threshold, window } = message;
  const input: AlertInput = { first: message };
  const note = `${severity} ${type} of ${entity}: ${value}, threshold ${threshold} (${window})`;
  return temporal.signalWithStart({ id: alertWorkflowId(message), type: alertWorkflowType, taskQueue, args: [input], note, details: alertDetails }, occurrenceSignal, [message]);
}

/** False when no such alert is open. */
export const endAlert = (temporal: AlertClient, ref: AlertRef): Promise<boolean> => temporal.signalWorkflow(alertWorkflowId(ref), overSignal);
