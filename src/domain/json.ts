/** JSON without loss: integers beyond 2^53 become BigInt and are written back digit for digit. */
import { parse, stringify } from 'lossless-json';

/** A run of 16 or more digits where a number may stand. */
const longInteger = /[:,[]\s*-?\d{16,}/;
/**
 * Debezium writes the row's images first, then `source`. Only the images are searched: the clocks in nanoseconds behind them,
 * which nobody reads, would send every event down the slow path.
 */
const imagesFirst = '{"before":';
const imagesEnd = '"source":{"version":';

const toNumber = (digits: string): number | bigint => {
  const value = Number(digits);
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits);
};

/** Parsed value; unsafe integers are BigInt. Throws SyntaxError on malformed text. */
export function parseJson(text: string): unknown {
  const end = text.startsWith(imagesFirst) ? text.indexOf(imagesEnd) : -1;
  return longInteger.test(end === -1 ? text : text.slice(0, end)) ? parse(text, null, toNumber) : JSON.parse(text);
}

/** Text of a value that may hold BigInt. */
export function stringifyJson(value: Record<string, unknown>, lossless: boolean): string {
  return lossless ? (stringify(value) ?? 'null') : JSON.stringify(value);
}
