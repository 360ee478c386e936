/**
 * A batch of `realtime-alerts` → alert workflows. Resolves true only when Temporal has every alert of the batch, or Kafka its dead letter.
 * Safe to repeat: a workflow is started once per alert, and counts an occurrence once per origin.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { endAlert, raiseAlert, type AlertClient } from '../../adapters/alert-workflow.ts';
import type { RecordBatch } from '../../adapters/kafka-consumer.ts';
import { alertWorkflowId } from '../../domain/alert.ts';
import { parseAlert, type AlertEvent, type AlertMessage } from '../../domain/alert-message.ts';
import type { Rejected, SourceRecord } from '../../domain/change-event.ts';
import { PipelineError } from '../../domain/errors.ts';
import type { Failpoint } from '../../telemetry/failpoint.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { occurrenceSignal } from '../../workflows/alert-contract.ts';
import type { DeadLetterSink } from '../dead-letters.ts';

export interface AcceptDeps {
  temporal: AlertClient;
  deadLetters: DeadLetterSink;
  /** Older alerts start nothing. */
  ageMsMax: number;
  log: Pick<Logger, 'info' | 'warn'>;
  failpoint: Failpoint;
  /** Aborted when the process must drain: what is not accepted by then is read again. */
  signal: AbortSignal;
}

export type AcceptAlerts = (batch: RecordBatch) => Promise<boolean>;

/** Alerts of one batch in work at once; those of one alert keep their order. */
const concurrency = 8;
const backoffMs = { first: 200, max: 5000 };

interface Read {
  record: SourceRecord;
  event: AlertEvent;
}

export function createAcceptAlerts(deps: AcceptDeps): AcceptAlerts {
  return async ({ records, ...ref }) => {
    const read = records.map((record): Read => ({ record, event: parseAlert(record) }));
    const queue = [...byAlert(read).values()];
    const refused: { record: SourceRecord; rejected: Rejected; generation: number }[] = [];
    const reject = (record: SourceRecord, rejected: Rejected): void => void refused.push({ record, rejected, generation: 0 });
    for (const { record, event } of read) if (event.kind === 'rejected') reject(record, event);
    const work = async (): Promise<void> => {
      for (let group = queue.shift(); group && !deps.signal.aborted; group = queue.shift()) {
        for (const { record, event } of group) await accept(deps, record, event, reject);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    if (deps.signal.aborted) return false;
    deps.failpoint('alerts.accepted');
    return refused.length === 0 || persist(deps, () => deps.deadLetters(ref, refused));
  };
}

function byAlert(read: Read[]): Map<string, Read[]> {
  const groups = new Map<string, Read[]>();
  for (const one of read) {
    if (one.event.kind === 'rejected') continue;
    const id = alertWorkflowId(one.event.ref);
    const group = groups.get(id);
    if (group) group.push(one);
    else groups.set(id, [one]);
  }
  return groups;
}

async function accept(deps: AcceptDeps, record: SourceRecord, event: AlertEvent, reject: (record: SourceRecord, rejected: Rejected) => void): Promise<void> {
  if (event.kind === 'rejected') return;
  const id = alertWorkflowId(event.ref);
  try {
    await persist(deps, () => (event.kind === 'over' ? endAlert(deps.temporal, event.ref) : signal(deps, id, event.message)));
  } catch (error) {
    if (!(error instanceof PipelineError) || error.action !== 'dead-letter') throw error;
    reject(record, { kind: 'rejected', offset: record.offset, op: null, reason: 'refused_alert', detail: 'Temporal does not accept it', id: null });
  }
}

/** An old alert may still be told to a workflow that goes on. */
async function signal({ temporal, ageMsMax, log }: AcceptDeps, id: string, message: AlertMessage): Promise<void> {
  if (Date.now() - message.at > ageMsMax) {
    if (!(await temporal.signalWorkflow(id, occurrenceSignal, message))) log.info({ id, at: message.at }, 'alert is too old to start anything');
    return;
  }
  if (!(await raiseAlert(temporal, message))) log.info({ id }, 'alert is over already');
}

/** Repeats `work` while its failure is one that time heals; false when the process must drain first. */
async function persist({ log, signal }: AcceptDeps, work: () => Promise<unknown>): Promise<boolean> {
  for (let waitMs = backoffMs.first, isTold = false; !signal.aborted; waitMs = Math.min(waitMs * 2, backoffMs.max)) {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry') throw error;
      if (!isTold) log.warn({ reason: error.message }, 'alerts wait');
      isTold = true;
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}
