/**
 * One record of `realtime-alerts` (key = alert id, JSON) → an occurrence, the word that an alert is over, or why it is neither.
 * Pure and total: any bytes give an answer. Workflows import the types only: the schema's library stays out of their bundle.
 */
import { z } from 'zod';
import { alertIdOf, alertTypes, parseAlertId, severities, type AlertRef } from './alert.ts';
import type { Rejected, RejectReason, SourceRecord } from './change-event.ts';

const bytesMax = 64 * 1024;

/** No control characters, no halves of a character: it goes into ids and headers. */
const text = (max: number) => z.string().min(1).max(max).regex(/^[^\p{Cc}\p{Cs}]*$/u, 'holds control characters');
/** Money and what may be large come as text; a number must be one that JSON keeps exactly. */
const amount = z.union([text(64), z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), 'not exact: send it as text')]).transform(String);
const timeMs = z.number().int().min(0).max(253_402_300_799_999);

const named = { alertId: text(144), type: z.enum(alertTypes) };
const overSchema = z.object({ ...named, resolved: z.literal(true) });
const occurrenceSchema = z.object({
  ...named,
  resolved: z.literal(false).optional(),
  severity: z.enum(severities),
  entity: text(128),
  episode: timeMs,
  value: amount,
  threshold: amount,
  /** What was looked at, for a person: `60 s`. */
  window: text(64),
  /** Event time of this occurrence. */
  at: timeMs,
  /** Tells occurrences apart, and redelivered ones. */
  origin: text(300).regex(/^.+-\d{1,9}:\d{1,18}$/u, 'not <topic>-<partition>:<offset>'),
});

export type AlertMessage = Omit<z.infer<typeof occurrenceSchema>, 'resolved'>;
export type AlertEvent = { kind: 'occurrence'; ref: AlertRef; message: AlertMessage } | { kind: 'over'; ref: AlertRef } | Rejected;

export function parseAlert({ offset, key, value }: SourceRecord): AlertEvent {
  const rejected = (reason: RejectReason, detail: string): Rejected => ({ kind: 'rejected', offset, op: null, reason, detail, id: null });
  if (value === null) return rejected('malformed_alert', 'it has no value');
  if (value.length > bytesMax) return rejected('malformed_alert', `it is larger than ${bytesMax} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(value.toString('utf8'));
  } catch {
    return rejected('malformed_json', 'the value is not JSON');
  }
  const isOver = typeof json === 'object' && json !== null && 'resolved' in json && json.resolved === true;
  const parsed = (isOver ? overSchema : occurrenceSchema).safeParse(json);
  if (!parsed.success) return rejected('malformed_alert', whatIsWrong(parsed.error));
  const { data } = parsed;
  const id = parseAlertId(data.alertId);
  if (id === null) return rejected('malformed_alert', 'alertId: not <entity>/<episode>');
  if (key?.toString('utf8') !== data.alertId) return rejected('malformed_key', 'the key is not the alert id');
  const ref: AlertRef = { type: data.type, ...id };
  if (data.resolved === true) return { kind: 'over', ref };
  const { resolved: _, ...message } = data;
  if (alertIdOf(message) !== message.alertId) return rejected('malformed_alert', 'alertId: not of this entity and episode');
  return { kind: 'occurrence', ref, message };
}

/** Names members, never values. */
const whatIsWrong = ({ issues }: z.ZodError): string => issues.slice(0, 3).map(({ path, message }) => `${path.length > 0 ? path.join('.') : 'the value'}: ${message}`).join('; ');
