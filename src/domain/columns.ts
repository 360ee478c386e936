/**
 * Column types of the shop's tables: what Debezium sends for each, what a replica row holds.
 * A converter returns the replica's value or throws ColumnError; it never guesses.
 */
import type { Amount } from './amount.ts';

/** `any` is a type the engine does not interpret: the value passes as Debezium writes it. */
export type ColumnType = 'integer' | 'text' | 'money' | 'timestamp' | 'any';
export type ColumnValue = string | number | bigint | boolean | null | object;
export type Row = Record<string, ColumnValue>;

/** Stands for an unchanged TOASTed value that PostgreSQL did not send; the connector is configured with the same text. */
export const unavailableValue = '__sluice_unavailable_0b5b3aab6dcb4504f8630183fb79b678';

/** `column` cannot be read as its type; `message` never holds the value (it may be personal). */
export class ColumnError extends Error {
  override name = 'ColumnError';
}

/** The years PostgreSQL can hold; Debezium writes ±infinity as a moment far beyond them. */
const years = { first: -4713, last: 294_276 };
const timestampShape = /^([+-]?\d{4,9})(-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z$/;
/** Nearly every timestamp: a year of four digits, each part within its range. */
const plainTimestamp = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z$/;
const moneyShape = /^(-?)(\d+)(?:\.(\d+))?$/;
/** Nearly every amount: two digits behind the point, and few enough before it for a safe number of cents. */
const plainMoney = /^-?\d{1,13}\.\d\d$/;

/** Debezium's names and PostgreSQL's own → PostgreSQL's. */
const specialAmounts: Record<string, string> = {
  NAN: 'NaN',
  POSITIVE_INFINITY: 'Infinity',
  INFINITY: 'Infinity',
  NEGATIVE_INFINITY: '-Infinity',
  '-INFINITY': '-Infinity',
};

const converters: Record<ColumnType, (value: unknown, name: string) => ColumnValue> = {
  integer: (value, name) => (Number.isInteger(value) || typeof value === 'bigint' ? (value as number | bigint) : reject(name, 'an integer')),
  text: (value, name) => (typeof value === 'string' ? value : reject(name, 'text')),
  money: (value, name) => {
    if (typeof value !== 'string') return reject(name, 'a decimal string');
    return moneyShape.test(value) ? value : (specialAmounts[value.toUpperCase()] ?? reject(name, 'a decimal string'));
  },
  timestamp: (value, name) => {
    if (typeof value !== 'string') return reject(name, 'an ISO-8601 timestamp');
    if (plainTimestamp.test(value)) return value;
    const year = Number(timestampShape.exec(value)?.[1]);
    if (year > years.last) return 'infinity';
    if (year < years.first) return '-infinity';
    return Number.isNaN(parseMs(value)) ? reject(name, 'an ISO-8601 timestamp ending in Z') : value;
  },
  any: (value) => value as ColumnValue,
};

function reject(name: string, wanted: string): never {
  throw new ColumnError(`column ${name} is not ${wanted}`);
}

/** The replica's value of one column. NULL is null whatever the type. */
export const convertColumn = (name: string, type: ColumnType, value: unknown): ColumnValue => (value === null ? null : converters[type](value, name));

/*
 * What contributions read. Each throws ColumnError where the column is gone or has become something else: then the row cannot
 * be counted exactly.
 */

/** Minor units of a money column; NULL and NaN add nothing. Nothing below a cent and nothing infinite can be counted. */
export function cents(row: Row, column: string): Amount {
  const value = present(row, column);
  if (value === null || value === 'NaN') return 0;
  if (typeof value === 'string' && plainMoney.test(value)) return Number(value.slice(0, -3) + value.slice(-2)) + 0;
  const [, sign, whole, fraction = ''] = (typeof value === 'string' && moneyShape.exec(value)) || reject(column, 'a finite decimal');
  if (/[1-9]/.test(fraction.slice(2))) throw new ColumnError(`column ${column} has parts of a cent`);
  const digits = `${sign}${whole}${fraction.slice(0, 2).padEnd(2, '0')}`;
  const amount = Number(digits);
  return Number.isSafeInteger(amount) ? amount + 0 : BigInt(digits);
}

/** A quantity or a reference to another row. */
export function integer(row: Row, column: string): Amount | null {
  const value = present(row, column);
  return value === null || Number.isInteger(value) || typeof value === 'bigint' ? (value as Amount | null) : reject(column, 'an integer');
}

/** Whole milliseconds since 1970 (rounded down); null where there is no finite moment. */
export function epochMs(row: Row, column: string): number | null {
  const value = present(row, column);
  if (value === null || value === 'infinity' || value === '-infinity') return null;
  if (typeof value === 'string' && plainTimestamp.test(value)) return Date.parse(value.length > 24 ? `${value.slice(0, 23)}Z` : value);
  const ms = typeof value === 'string' ? parseMs(value) : Number.NaN;
  return Number.isNaN(ms) ? reject(column, 'a timestamp') : ms;
}

/** A nullable text used as a counter field. */
export function label(row: Row, column: string): string {
  const value = present(row, column);
  if (value === null) return '(none)';
  return typeof value === 'string' ? value : reject(column, 'text');
}

function present(row: Row, column: string): ColumnValue {
  const value = row[column];
  if (value === undefined) throw new ColumnError(`column ${column} is missing`);
  return value;
}

function parseMs(value: string): number {
  const match = timestampShape.exec(value);
  if (!match) return Number.NaN;
  const [, year = '', rest, fraction = ''] = match;
  // The calendar repeats every 400 years (146,097 days): move any year into what Date can read.
  const cycles = Math.floor((Number(year) - 1600) / 400);
  const shifted = String(Number(year) - cycles * 400).padStart(4, '0');
  return Date.parse(`${shifted}${rest}${fraction.slice(0, 4)}Z`) + cycles * 146_097 * 86_400_000;
}
