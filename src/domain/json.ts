/** JSON without loss: integers beyond 2^53 become BigInt and are written back digit for digit. */
import { parse, stringify } from 'lossless-json';

const toNumber = (digits: string): number | bigint => {
  const value = Number(digits);
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits);
};

/**
 * Parsed value; unsafe integers are BigInt. Throws SyntaxError on malformed text. Only a double that came out as an unsafe integer
 * may have lost digits, so only then the slow parser reads again; `judge` names the part whose numbers matter.
 */
export function parseJson(text: string, judge: (value: unknown) => unknown = (value) => value): unknown {
  const value: unknown = JSON.parse(text);
  return hasUnsafeInteger(judge(value)) ? parse(text, null, toNumber) : value;
}

/** Text of a value that may hold BigInt. */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof TypeError) return stringify(value) ?? 'null'; // the one thing that JSON.stringify refuses in parsed JSON is a BigInt
    throw error;
  }
}

function hasUnsafeInteger(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isSafeInteger(value) && (Number.isInteger(value) || !Number.isFinite(value));
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (hasUnsafeInteger((value as Record<string, unknown>)[name])) return true;
  return false;
}
