/**
 * Column types of the shop's tables: what Debezium sends for each, what a replica row holds.
 * A converter returns the replica's value or throws ColumnError; it never guesses.
 */
import type { Amount } from './amount.ts';

export type ColumnType = 'integer' | 'text' | 'money' | 'timestamp';
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
const moneyShape = /^(-?)(\d+)(?:\.(\d+))?$/;

const converters: Record<ColumnType, (value: unknown) => ColumnValue> = {
  integer: (value) => (Number.isInteger(value) || typeof value === 'bigint' ? (value as number | bigint) : reject('an integer')),
  text: (value) => (typeof value === 'string' ? value : reject('text')),
  money: (value) => {
    if (typeof value !== 'string') return reject('a decimal string');
    if (value.toUpperCase() === 'NAN') return 'NaN';
    return moneyShape.test(value) ? value : reject('a decimal string');
  },
  timestamp: (value) => {
    if (typeof value !== 'string') return reject('an ISO-8601 timestamp');
    const year = Number(timestampShape.exec(value)?.[1]);
    if (year > years.last) return 'infinity';
    if (year < years.first) return '-infinity';
    return Number.isNaN(parseMs(value)) ? reject('an ISO-8601 timestamp ending in Z') : value;
  },
};

function reject(wanted: string): never {
  throw new ColumnError(`is not ${wanted}`);
}

/** The replica's value of one column. NULL is null whatever the type. */
export function convertColumn(name: string, type: ColumnType, value: unknown): ColumnValue {
  if (value === null) return null;
  try {
    return converters[type](value);
  } catch (error) {
    throw error instanceof ColumnError ? new ColumnError(`column ${name} ${error.message}`) : error;
  }
}

/** Minor units of a money column; NULL and NaN add nothing. Throws ColumnError below a cent: it would not be exact. */
export function cents(row: Row, column: string): Amount {
  const value = row[column];
  if (value === null || value === 'NaN') return 0;
  const [, sign, whole, fraction = ''] = moneyShape.exec(String(value)) ?? reject('a decimal string');
  if (/[1-9]/.test(fraction.slice(2))) throw new ColumnError(`column ${column} has parts of a cent`);
  const digits = `${sign}${whole}${fraction.slice(0, 2).padEnd(2, '0')}`;
  const amount = Number(digits);
  return Number.isSafeInteger(amount) ? amount + 0 : BigInt(digits);
}

/** Whole milliseconds since 1970 (rounded down); null where there is no finite moment. */
export function epochMs(row: Row, column: string): number | null {
  const ms = parseMs(String(row[column]));
  return Number.isNaN(ms) ? null : ms;
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

/** A nullable text used as a counter field. */
export const label = (row: Row, column: string): string => (row[column] === null ? '(none)' : String(row[column]));
