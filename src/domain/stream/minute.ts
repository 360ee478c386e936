/** Minutes of event time, UTC, as keys and fields name them. Pure. Every event asks for some, and nearly all for the same few: they are remembered. */
import { memoize } from '../memoize.ts';

export const minuteMs = 60_000;
const shape = /^(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)$/;

/** `20261122_1400` for any moment within that minute; null outside the years 0 to 9999. */
export const minuteOf = (ms: number): string | null => nameOf(Math.floor(ms / minuteMs));

const nameOf = memoize((minute: number): string | null => {
  const date = new Date(minute * minuteMs);
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) return null;
  const iso = date.toISOString();
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 10)}_${iso.slice(11, 13)}${iso.slice(14, 16)}`;
});

/** First millisecond of a minute; null when the text names none. */
export const startOfMinute = memoize((minute: string): number | null => {
  const [, year, month, day, hour, min] = shape.exec(minute) ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${min}:00Z`);
  return year === undefined || Number.isNaN(ms) ? null : ms;
});
