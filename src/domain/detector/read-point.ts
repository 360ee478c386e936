/**
 * One line of a `timestamp,value` file → a point. A value that is absent (empty, NaN, NA, null, inf) is a missing point and is
 * kept; what cannot be read at all is told with the reason.
 */
import type { Point } from './detector.ts';

export interface CsvPoint extends Point {
  /** Both fields as they came. */
  timestampText: string;
  valueText: string;
}

/** Places of the two fields in a line. */
export interface CsvColumns {
  timestamp: number;
  value: number;
}

export const plainColumns: CsvColumns = { timestamp: 0, value: 1 };

const absent = /^(nan|n\/?a|null|none|[+-]?inf(inity)?)?$/i;
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const civil = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

const bare = (field: string): string => {
  const text = field.trim();
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).trim() : text;
};

/** The point, or why the line is none. Fields beyond the two are not looked at. */
export function readPoint(line: string, columns: CsvColumns): CsvPoint | string {
  const fields = line.split(',');
  const timestampText = fields[columns.timestamp];
  const valueText = fields[columns.value];
  if (timestampText === undefined || valueText === undefined) return 'a line is "timestamp,value", separated by a comma';
  const timestampMs = readTime(bare(timestampText));
  if (timestampMs === undefined) return `${shown(timestampText)} is no time: give ISO 8601, YYYY-MM-DD HH:MM:SS (UTC), or seconds or milliseconds since 1970`;
  const value = bare(valueText);
  if (decimal.test(value)) return { timestampMs, value: Number(value), timestampText, valueText };
  return absent.test(value) ? { timestampMs, value: Number.NaN, timestampText, valueText } : `${shown(valueText)} is no number`;
}

/** The columns a first line names, or undefined when it is a point (or a bad one). */
export function readHeader(line: string): CsvColumns | undefined {
  const names = line.split(',').map((field) => bare(field).toLowerCase());
  if (names.length < 2 || readTime(names[0]!) !== undefined || decimal.test(names[1]!)) return undefined;
  const [timestamp, value] = [names.findIndex((name) => /^(timestamps?|time|ts|date|datetime)$/.test(name)), names.indexOf('value')];
  return timestamp >= 0 && value >= 0 ? { timestamp, value } : plainColumns;
}

const quoted = (text: string): string => JSON.stringify(text.trim());
const shown = (text: string): string => (quoted(text).length > 60 ? `${quoted(text).slice(0, 56)}…"` : quoted(text));

/** Since 1970, by size: seconds below 10^11 (year 5138), then milliseconds, microseconds, nanoseconds. */
const epochUnits = [
  { below: 1e11, perMs: 1e-3 },
  { below: 1e14, perMs: 1 },
  { below: 1e17, perMs: 1e3 },
  { below: 1e20, perMs: 1e6 },
];

function readTime(text: string): number | undefined {
  if (decimal.test(text)) {
    const count = Number(text);
    const unit = epochUnits.find(({ below }) => Math.abs(count) < below);
    return unit && count / unit.perMs;
  }
  const match = civil.exec(text);
  if (!match) return undefined;
  const [year, month, day, hours, minutes, seconds] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [number, number, number, number, number, number];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hours > 23 || minutes > 59 || seconds > 60) return undefined;
  return Date.UTC(year, month - 1, day, hours, minutes, seconds) + Number(`0.${match[7] ?? 0}`) * 1000 - offsetMs(match[8]);
}

const daysIn = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || /^z$/i.test(zone)) return 0;
  const [, side, hours, minutes] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  return (side === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes ?? 0)) * 60_000;
}
