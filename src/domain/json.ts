/** JSON without loss: integers beyond 2^53 become BigInt and are written back digit for digit. */
import { parse, stringify } from 'lossless-json';

/**
 * A run of 16 or more digits where a number may stand. Debezium's own nanosecond clocks are let through: nobody reads them,
 * and they would send every event down the slow path.
 */
const longInteger = /(?<!"ts_[nu]s")[:,[]\s*-?\d{16,}/;

const toNumber = (digits: string): number | bigint => {
  const value = Number(digits);
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits);
};

/** Parsed value; unsafe integers are BigInt. Throws SyntaxError on malformed text. */
export function parseJson(text: string): unknown {
  return longInteger.test(text) ? parse(text, null, toNumber) : JSON.parse(text);
}

/** Text of a value that may hold BigInt. */
export function stringifyJson(value: Record<string, unknown>, lossless: boolean): string {
  return lossless ? (stringify(value) ?? 'null') : JSON.stringify(value);
}
