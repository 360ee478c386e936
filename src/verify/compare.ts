/** Expected against found, value by value: pure. A difference says where it is, never what to do. */
import { parse, stringify } from 'lossless-json';
import { sourceTables, type Counter, type SourceColumn } from './source.ts';

export interface RowDifference {
  key: string;
  column: string;
  expected: string;
  found: string;
}
export interface SetDifference {
  key: string;
  member: string;
  expected: string;
  found: string;
}
export interface AmountDifference {
  key: string;
  field: string;
  expected: string;
  found: string;
  /** found − expected; `?` when what was found is no integer. */
  difference: string;
}

export const absent = '(absent)';
const present = '(present)';
/** In the place of a column, member or field when the whole row, set or hash differs. */
const wholeRow = '(row)';
const wholeSet = '(set)';
const wholeHash = '(hash)';

/** In the place of a value: the key holds another type than it should. */
export const ofType = (type: string): string => `(a ${type})`;

/** Column by column. Members that begin with `_` are the engine's own; any other that the source does not have is a difference. */
export function compareRow(key: string, columns: SourceColumn[], expected: string | null, found: string | null): RowDifference[] {
  if (expected === null || found === null) {
    return expected === found ? [] : [{ key, column: wholeRow, expected: expected ? present : absent, found: found ? present : absent }];
  }
  if (isSameText(expected, found)) return [];
  const wanted = parseObject(expected) ?? {};
  const row = parseObject(found);
  if (row === null) return [{ key, column: wholeRow, expected: 'a JSON object', found: found.slice(0, 40) }];
  const names = [...Object.keys(wanted), ...Object.keys(row).filter((name) => !name.startsWith('_') && !Object.hasOwn(wanted, name))];
  return names.flatMap((column) => {
    if (wanted[column] === row[column] && Object.hasOwn(row, column)) return []; // nearly always
    const isTime = columns.some(({ name, type }) => name === column && type.startsWith('timestamp'));
    const [expectedText, foundText] = [canonical(wanted[column]), canonical(row[column])];
    const same = isTime ? sameTime(wanted[column], row[column]) : expectedText === foundText;
    return same ? [] : [{ key, column, expected: expectedText, found: foundText }];
  });
}

/** A run of digits that a double may not hold: only then the slower, exact parser. */
const longNumber = /\d{16}/;

/**
 * Nearly always both texts are the same up to where the engine's members begin: then only the names of these are looked at.
 * Otherwise nothing is said yet: other spellings may be equal.
 */
function isSameText(expected: string, found: string): boolean {
  const end = expected.length - 1;
  if (!found.startsWith(expected.slice(0, end)) || !found.startsWith(',"_', end)) return false;
  const members = parseObject(`{${found.slice(end + 1)}`);
  return members !== null && Object.keys(members).every((name) => name.startsWith('_'));
}

/** The object in a text; integers beyond 2^53 are BigInt. Null when it holds none. */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = longNumber.test(text) ? parse(text, null, exactNumber) : JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const exactNumber = (text: string): number | bigint => (/^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text)) ? BigInt(text) : Number(text));

const canonical = (value: unknown): string => (value === undefined ? absent : (stringify(value) ?? absent));

function sameTime(expected: unknown, found: unknown): boolean {
  if (expected === found) return true;
  return typeof expected === 'string' && typeof found === 'string' && isoMicros(found) !== null && isoMicros(expected) === isoMicros(found);
}

const isoShape = /^([+-]?\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})0*)?Z$/;

/** Microseconds since 1970 of an ISO 8601 time that ends in Z, any year PostgreSQL can hold; null for any other text. */
export function isoMicros(text: string): bigint | null {
  const match = isoShape.exec(text);
  if (!match) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  // Proleptic Gregorian day number with years that begin in March, so that the leap day comes last.
  const y = month > 2 ? year : year - 1;
  const days = 365 * y + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 719_469;
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
  return BigInt(seconds) * 1_000_000n + BigInt((match[7] ?? '').padEnd(6, '0'));
}

/** `found`: members and scores in turn, as ZRANGE gives them, or the type of a key that is no sorted set. */
export function compareSet(key: string, expected: Map<string, string>, found: string[] | string): SetDifference[] {
  if (typeof found === 'string') return [{ key, member: wholeSet, expected: ofType('zset'), found: ofType(found) }];
  const scores = new Map(found.flatMap((member, at) => (at % 2 === 0 ? [[member, found[at + 1] ?? '']] : [])));
  return [...new Set([...expected.keys(), ...scores.keys()])].flatMap((member) => {
    const wanted = expected.get(member);
    const score = scores.get(member);
    const same = wanted !== undefined && score !== undefined && Number(wanted) === Number(score);
    return same ? [] : [{ key, member, expected: wanted ?? absent, found: score ?? absent }];
  });
}

/** Counters of the same hashes that count events, not rows: they have no SQL twin. */
const eventFields = new Set(['created', 'updated', 'deleted']);
const rowHashes = new Set(sourceTables.map(({ table }) => `metrics:${table}`));

export interface ComparedAmounts {
  checked: number;
  differences: AmountDifference[];
}

/** By logical name the fields of a hash, or the type of a key that is none. */
export type Hashes = Map<string, Record<string, string> | string>;

/** Counters of SQL against hashes. Absent is 0 on both sides. `leftOut`: what is in a counter and not expected to be. */
export function compareAmounts(expected: Counter[], found: Hashes, leftOut: (hash: string, field: string) => bigint = () => 0n): ComparedAmounts {
  const pairs = new Map<string, { key: string; field: string; expected: string; found: string }>();
  const pairOf = (key: string, field: string) => {
    const name = JSON.stringify([key, field]);
    const pair = pairs.get(name) ?? { key, field, expected: '0', found: '0' };
    pairs.set(name, pair);
    return pair;
  };
  for (const { hash, field, amount } of expected) if (typeof found.get(hash) !== 'string') pairOf(hash, field).expected = amount;
  for (const [hash, fields] of found) {
    if (typeof fields === 'string') {
      pairs.set(hash, { key: hash, field: wholeHash, expected: ofType('hash'), found: ofType(fields) });
      continue;
    }
    for (const [field, amount] of Object.entries(fields)) {
      if (!(rowHashes.has(hash) && eventFields.has(field))) pairOf(hash, field).found = amount;
    }
  }
  const differences = [...pairs.values()].flatMap((pair) => {
    if (!/^-?\d+$/.test(pair.found)) return [{ ...pair, difference: '?' }];
    const amount = BigInt(pair.found) - leftOut(pair.key, pair.field);
    const difference = amount - BigInt(pair.expected);
    return difference === 0n ? [] : [{ ...pair, found: String(amount), difference: String(difference) }];
  });
  return { checked: pairs.size, differences };
}
