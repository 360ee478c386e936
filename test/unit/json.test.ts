import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson, stringifyJson } from '../../src/domain/json.ts';

const beyond = '9007199254740993'; // 2^53 + 1: JSON.parse would give …992

/** An event as Debezium orders it: images, then `source` with its clocks. */
const envelope = (after: string): string =>
  `{"before":null,"after":${after},"source":{"version":"3.7.0.Final","ts_us":1763805600000123,"ts_ns":1763805600000123456,"schema":"public"},"op":"c","ts_ns":1763805600020123456}`;
const afterOf = (text: string): unknown => (parseJson(text, (value) => (value as { after: unknown }).after) as { after: unknown }).after;

test('integers up to 2^53 - 1 are numbers', () => {
  assert.deepEqual(parseJson('{"a":0,"b":-1,"c":9007199254740991,"d":-9007199254740991}'), { a: 0, b: -1, c: 9007199254740991, d: -9007199254740991 });
});

test('integers beyond 2^53 are kept digit for digit, wherever they stand', () => {
  assert.deepEqual(parseJson(`{"a":${beyond}}`), { a: BigInt(beyond) });
  assert.deepEqual(parseJson(`{"a": ${beyond}}`), { a: BigInt(beyond) });
  assert.deepEqual(parseJson(`{"a":-${beyond}}`), { a: -BigInt(beyond) });
  assert.deepEqual(parseJson(`[1,${beyond},[ ${beyond}]]`), [1, BigInt(beyond), [BigInt(beyond)]]);
  assert.deepEqual(parseJson('{"a":9223372036854775807}'), { a: 9223372036854775807n });
  assert.deepEqual(parseJson('{"a":123456789012345678901234567890}'), { a: 123456789012345678901234567890n });
});

test('an integer at the very edge of 2^53 is never rounded', () => {
  assert.equal(String((parseJson('{"a":9007199254740992}') as { a: bigint }).a), '9007199254740992');
  assert.equal(String((parseJson('{"a":-9007199254740992}') as { a: bigint }).a), '-9007199254740992');
});

test('what looks like a long integer inside a string stays text', () => {
  assert.deepEqual(parseJson(`{"a":"x:${beyond}","b":",${beyond}"}`), { a: `x:${beyond}`, b: `,${beyond}` });
});

test('a string beside a long integer keeps its escapes', () => {
  assert.deepEqual(parseJson(`{"a":"\\u00e9\\n\\"\\\\","b":${beyond}}`), { a: 'é\n"\\', b: BigInt(beyond) });
});

test('fractions and exponents stay numbers, long integers beside them or not', () => {
  assert.deepEqual(parseJson('{"a":1.5,"b":1e3}'), { a: 1.5, b: 1000 });
  assert.deepEqual(parseJson(`{"a":1.5,"b":1e3,"c":${beyond},"d":0.1234567890123456789}`), { a: 1.5, b: 1000, c: BigInt(beyond), d: 0.12345678901234568 });
});

test('a part that nobody reads does not send the rest down the slow path, and is not exact', () => {
  const parsed = parseJson(envelope('{"id":1}'), (value) => (value as { after: unknown }).after) as { source: { ts_ns: unknown } };
  assert.equal(typeof parsed.source.ts_ns, 'number');
});

test('a column beside those clocks is exact, also one that has the name of a clock', () => {
  assert.deepEqual(afterOf(envelope(`{"id":${beyond}}`)), { id: BigInt(beyond) });
  assert.deepEqual(afterOf(envelope(`{"id":1,"ts_ns":${beyond}}`)), { id: 1, ts_ns: BigInt(beyond) });
});

test('a text that looks like the end of the images does not hide what follows it', () => {
  const note = JSON.stringify('"source":{"version":');
  assert.deepEqual(afterOf(envelope(`{"note":${note},"id":${beyond}}`)), { note: '"source":{"version":', id: BigInt(beyond) });
});

test('a key called __proto__ does not reach the prototype', () => {
  for (const text of ['{"__proto__":{"polluted":1}}', `{"__proto__":{"polluted":${beyond}}}`]) {
    parseJson(text);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  }
});

test('malformed text throws SyntaxError on both paths', () => {
  for (const text of ['', '{', '{"a":}', 'nope', `{"a":${beyond}`, `{"a":${beyond},}`]) assert.throws(() => parseJson(text), SyntaxError, text);
});

test('what was parsed exactly is written exactly', () => {
  const text = `{"a":${beyond},"b":[1,"x",null,true],"c":{"d":-${beyond}}}`;
  assert.equal(stringifyJson(parseJson(text)), text);
  assert.equal(stringifyJson({ a: 1, b: 'é' }), '{"a":1,"b":"é"}');
});

test('both ways of writing agree where both can', () => {
  const value = { a: 1, b: -0.5, c: 'é"\\\u2028', d: null, e: [true, {}], f: '' };
  assert.equal(stringifyJson({ ...value, big: 1n }), JSON.stringify({ ...value, big: 1 }));
});
