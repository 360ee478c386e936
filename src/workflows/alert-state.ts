/**
 * What happens to an alert, without what is done about it: given a state and a time, the next state. No SDK, no clock.
 * Invariant: a resolved alert stays resolved, and of two things that are due at once quiet goes before a snooze, a snooze before an escalation.
 */
import { alertIdOf, rememberOrigin, type AlertLevel } from '../domain/alert.ts';
import type { AlertMessage } from '../domain/alert-message.ts';
import type { AlertCarry, AlertState, NotificationRecord } from './alert-contract.ts';

const isoOf = (ms: number): string => new Date(ms).toISOString();

/** Of the first occurrence, which is counted. */
export function openAlert(first: AlertMessage, nowMs: number): AlertCarry {
  const { type, severity, entity, episode, value, threshold, window, at, origin } = first;
  const carry: AlertCarry = {
    state: {
      ...{ alertId: alertIdOf(first), type, severity, entity, episode, value, threshold, window },
      ...{ status: 'open', level: 1, occurrences: 1, openedAt: isoOf(nowMs), firstAt: isoOf(at), lastAt: isoOf(at) },
      ...{ acknowledged: null, snoozed: null, resolved: null, notifications: [], notificationsDropped: 0, failing: {}, note: '' },
    },
    plan: null,
    memory: {},
    lastSeenMs: nowMs,
    escalateFromMs: nowMs,
    reminders: 0,
    announcements: [{ kind: 'opened', count: 1, withdrawn: false }],
    deliveries: [],
    told: [],
  };
  rememberOrigin(carry.memory, origin, at);
  return carry;
}

/** Signals may be sent by hand: what is none is not counted. */
export const isOccurrence = (message: Partial<AlertMessage> | null | undefined): message is AlertMessage =>
  typeof message?.origin === 'string' && typeof message.value === 'string' && Number.isSafeInteger(message.at) && Math.abs(message.at!) < 8e15;

/** False when it was counted before. Arrival, not event time, keeps an alert from falling quiet: a backlog is no silence. */
export function countOccurrence(carry: AlertCarry, { at, origin, value }: AlertMessage, nowMs: number): boolean {
  if (!rememberOrigin(carry.memory, origin, at)) return false;
  const { state } = carry;
  state.occurrences += 1;
  carry.lastSeenMs = nowMs;
  if (at >= Date.parse(state.lastAt)) Object.assign(state, { value, lastAt: isoOf(at) });
  return true;
}

export function acknowledge({ state }: AlertCarry, by: string, note: string, nowMs: number): void {
  Object.assign(state, { status: 'acknowledged', snoozed: null, acknowledged: { by, note, at: isoOf(nowMs) } } satisfies Partial<AlertState>);
}

export function snooze({ state }: AlertCarry, until: string, by: string, nowMs: number): void {
  Object.assign(state, { status: 'snoozed', snoozed: { until: isoOf(Date.parse(until)), by, at: isoOf(nowMs) } } satisfies Partial<AlertState>);
}

/** False when it was over already: the first word holds. */
export function resolve({ state }: AlertCarry, by: string, reason: string, nowMs: number): boolean {
  if (state.status === 'resolved') return false;
  Object.assign(state, { status: 'resolved', snoozed: null, resolved: { by, reason, at: isoOf(nowMs) } } satisfies Partial<AlertState>);
  return true;
}

/** Escalation counts anew: nobody was asked meanwhile. */
export function wake(carry: AlertCarry, nowMs: number): void {
  Object.assign(carry.state, { status: 'notified', snoozed: null, acknowledged: null } satisfies Partial<AlertState>);
  carry.escalateFromMs = nowMs;
  carry.reminders += 1;
}

export type Step = { atMs: number } & ({ what: 'quiet' | 'wake' } | { what: 'escalate'; level: AlertLevel });

/** What time alone will bring; null when nothing will. */
export function nextStep({ state, plan, lastSeenMs, escalateFromMs }: AlertCarry): Step | null {
  if (plan === null || state.status === 'resolved') return null;
  const steps: Step[] = [];
  if (plan.quietSeconds !== null) steps.push({ what: 'quiet', atMs: lastSeenMs + plan.quietSeconds * 1000 });
  if (state.snoozed) steps.push({ what: 'wake', atMs: Date.parse(state.snoozed.until) });
  const escalation = plan.escalations.find(({ level }) => level > state.level);
  if (escalation && (state.status === 'open' || state.status === 'notified')) steps.push({ what: 'escalate', level: escalation.level, atMs: escalateFromMs + escalation.afterSeconds * 1000 });
  return steps.reduce<Step | null>((first, step) => (first === null || step.atMs < first.atMs ? step : first), null);
}

const textMax = 1000;
const snoozeDaysMax = 30;

const whyNoText = (name: string, text: unknown, isNeeded: boolean): string =>
  typeof text === 'string' && text.length <= textMax && (!isNeeded || text.trim() !== '') ? '' : `${name} must be text of ${isNeeded ? '1' : '0'} to ${textMax} characters`;
const whyOver = ({ alertId, type, resolved }: AlertState): string => (resolved ? `${type}/${alertId} is over: resolved by ${resolved.by} at ${resolved.at} (${resolved.reason})` : '');

/** Each says why an update is refused; '' when it is not. Arguments may be anything that somebody sent. */
export const whyNot = {
  acknowledge: (state: AlertState, by: unknown, note: unknown): string => whyOver(state) || whyNoText('by', by, true) || whyNoText('note', note, false),
  resolve: (state: AlertState, by: unknown, reason: unknown): string => whyOver(state) || whyNoText('by', by, true) || whyNoText('reason', reason, false),
  snooze: (state: AlertState, until: unknown, by: unknown, nowMs: number): string => {
    const why = whyOver(state) || whyNoText('by', by, false);
    if (why) return why;
    const ms = typeof until === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z$/.test(until) ? Date.parse(until) : Number.NaN;
    if (Number.isNaN(ms)) return 'until must be a UTC time such as 2026-11-22T10:00:00Z';
    if (ms <= nowMs) return `until ${String(until)} is over already`;
    return ms > nowMs + snoozeDaysMax * 86_400_000 ? `until may be at most ${snoozeDaysMax} days from now` : '';
  },
};

const notificationsKept = 30;

/** Adds a record; the oldest that have ended make room. */
export function addNotification(state: AlertState, record: NotificationRecord): void {
  state.notifications.push(record);
  while (state.notifications.length > notificationsKept) {
    const at = state.notifications.findIndex(({ result }) => result !== 'pending');
    if (at === -1) return;
    state.notifications.splice(at, 1);
    state.notificationsDropped += 1;
  }
}

/** Markdown for Temporal Web. */
export function describeAlert(state: AlertState): string {
  const { status, severity, type, entity, level, value, threshold, window, occurrences, acknowledged, snoozed, resolved, notifications, failing, note } = state;
  const lines = [
    `**${status}** · ${severity} ${type} of ${entity} · ${value}, threshold ${threshold} (${window}) · seen ${occurrences} times, last ${state.lastAt}${level > 1 ? ` · level ${level}` : ''}`,
    acknowledged ? `acknowledged by ${acknowledged.by} at ${acknowledged.at}${acknowledged.note ? `: ${acknowledged.note}` : ''}` : '',
    snoozed ? `snoozed until ${snoozed.until}` : '',
    resolved ? `resolved by ${resolved.by} at ${resolved.at}: ${resolved.reason}` : '',
    ...Object.entries(failing).map(([channel, why]) => `**${channel} fails**: ${why}`),
    ...notifications.slice(-10).map(({ at, kind, channel, result, attempts, reason }) => `- ${at} ${kind}${channel ? ` to ${channel}` : ''}: ${result}${attempts > 1 ? `, ${attempts} attempts` : ''}${reason ? ` (${reason})` : ''}`),
    note,
  ];
  return lines.filter((line) => line !== '').join('\n\n');
}
