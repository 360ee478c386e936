/** The time a batch run is about, and the windows of a backfill. Pure functions of given times, never of a clock. */

/** ISO-8601 UTC in whole seconds, such as `2026-11-22T14:00:00Z`; `start` inclusive, `end` exclusive. */
export interface BatchWindow {
  start: string;
  end: string;
}

/** Windows of one length, one after the other: `from` inclusive, `to` exclusive. */
export interface WindowSpan {
  from: string;
  to: string;
  everySeconds: number;
}

/** `2026-11-22T14:00:00Z`. */
export const isoSeconds = (ms: number): string => `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;

/** The window of `lengthMs` that ends at the last whole interval before or at `scheduledMs`. */
export function windowAt(scheduledMs: number, intervalMs: number, lengthMs: number): BatchWindow {
  const endMs = Math.floor(scheduledMs / intervalMs) * intervalMs;
  return { start: isoSeconds(endMs - lengthMs), end: isoSeconds(endMs) };
}

const isIso = (text: unknown): text is string => typeof text === 'string' && !Number.isNaN(Date.parse(text)) && isoSeconds(Date.parse(text)) === text;

/** Why something given from outside is no window; empty when it is one. */
export function whyNoWindow(value: unknown): string {
  const { start, end } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof BatchWindow, unknown>>;
  if (!isIso(start)) return 'window.start must be a time such as 2026-11-22T14:00:00Z';
  if (!isIso(end)) return 'window.end must be a time such as 2026-11-22T14:00:00Z';
  return start < end ? '' : 'window.start must be before window.end';
}

/** Most windows of one backfill. */
const windowsMost = 100_000;

/** Why a span cannot be cut into windows; empty when it can. */
export function whyNoSpan({ from, to, everySeconds }: WindowSpan): string {
  if (!isIso(from)) return 'from must be a time such as 2026-11-01T00:00:00Z';
  if (!isIso(to)) return 'to must be a time such as 2026-11-01T00:00:00Z';
  if (!Number.isInteger(everySeconds) || everySeconds < 1) return 'every must be at least one second';
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000;
  if (seconds <= 0) return `from (${from}) must be before to (${to})`;
  if (seconds % everySeconds !== 0) return `${from} to ${to} is not a whole number of windows of ${everySeconds} s: the last would end after to`;
  return seconds / everySeconds > windowsMost ? `${seconds / everySeconds} windows are more than one backfill may have (${windowsMost}): split it` : '';
}

export const windowCount = ({ from, to, everySeconds }: WindowSpan): number => (Date.parse(to) - Date.parse(from)) / (everySeconds * 1000);

/** The `index`-th window of a span, from 0. */
export function windowOf({ from, everySeconds }: WindowSpan, index: number): BatchWindow {
  const startMs = Date.parse(from) + index * everySeconds * 1000;
  return { start: isoSeconds(startMs), end: isoSeconds(startMs + everySeconds * 1000) };
}
