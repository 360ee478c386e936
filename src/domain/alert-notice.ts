/**
 * What is said of an alert, and in which form each channel takes it. Pure: the same notice has the same bytes at every attempt.
 * Invariant: ids, numbers and times only; no name, no address, no secret.
 */
import { alertIdOf, alertWorkflowId, type AlertRef, type Severity } from './alert.ts';

export const channels = ['webhook', 'slack'] as const;
export type Channel = (typeof channels)[number];

/** `storm`: one for many alerts of a type. `channel-failed`: on the others, that one channel does not take what it is sent. */
export type NoticeKind = 'opened' | 'escalated' | 'reminded' | 'resolved' | 'storm' | 'channel-failed';

export interface AlertFacts extends AlertRef {
  severity: Severity;
  status: string;
  level: number;
  value: string;
  threshold: string;
  window: string;
  occurrences: number;
  /** ISO-8601. */
  openedAt: string;
}

export interface Notice {
  /** The same at every attempt: receivers tell doubles by it. */
  id: string;
  kind: NoticeKind;
  /** ISO-8601 time at which it was decided to say this. */
  at: string;
  text: string;
  alert: AlertFacts;
}

/** `detail`: why (escalated, resolved), or which channel and its failure. */
export function noticeText(kind: NoticeKind, alert: AlertFacts, at: string, detail: string): string {
  const { severity, type, entity, value, threshold, window, occurrences, level } = alert;
  const what = `${severity} ${type} of ${entity}`;
  const figures = `${value}, threshold ${threshold} (${window})${occurrences > 1 ? `, seen ${occurrences} times` : ''}`;
  const age = ageText(Date.parse(at) - Date.parse(alert.openedAt));
  switch (kind) {
    case 'opened':
      return `${what}: ${figures}`;
    case 'escalated':
      return `${what}, level ${level}: nobody has acknowledged it for ${age}. ${figures}`;
    case 'reminded':
      return `${what}: its snooze is over and it is still open, for ${age} now. ${figures}`;
    case 'resolved':
      return `${what}: resolved after ${age}${detail ? ` (${detail})` : ''}`;
    case 'storm':
      return `STORM of ${type}: more alerts within a minute than are told one by one, this one of ${entity} among them${level > 1 ? `, now at level ${level}` : ''}. All of them: npx sluice alerts ls --type ${type}`;
    case 'channel-failed':
      return `ALERTS ARE NOT DELIVERED: ${detail}. It was to say: ${what}: ${figures}`;
  }
}

const ageUnits: [ms: number, unit: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
];

/** In the largest unit of which there is one: `5 min`. */
export function ageText(ms: number): string {
  const [size, unit] = ageUnits.find(([size]) => ms >= size) ?? [1000, 's'];
  return `${Math.floor(Math.max(0, ms) / size)} ${unit}`;
}

/** CloudEvents 1.0, structured JSON. */
export function cloudEvent({ id, kind, at, text, alert }: Notice): string {
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: 'sluice/alerts',
    type: `dev.sluice.alert.${kind}`,
    subject: `${alert.type}/${alertIdOf(alert)}`,
    time: at,
    datacontenttype: 'application/json',
    data: { ...alert, alertId: alertIdOf(alert), workflowId: alertWorkflowId(alert), text },
  });
}

/** What Slack and those that copy it take; the three characters that mean something there are escaped. */
export function slackMessage({ text, alert }: Notice): string {
  const escaped = `${text}\n${alertWorkflowId(alert)}`.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return JSON.stringify({ text: escaped });
}
