/** Goal: verify sees every difference of value or presence, and none where the contract allows two spellings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absent, compareAmounts, compareRow, compareSet, isoMicros } from '../../src/verify/compare.ts';

const columns = [
  { name: 'id', type: 'integer' },
  { name: 'price', type: 'numeric' },
  { name: 'at', type: 'timestamp without time zone' },
];
const aRow = (parts: Record<string, unknown> = {}): string => JSON.stringify({ id: 1, price: '1.50', at: '2026-11-22T10:00:00.120000Z', ...parts });
const differing = (found: string | null, expected: string | null = aRow()): string[] => compareRow('product:1', columns, expected, found).map(({ column }) => column);

test('equal rows are equal; members of the engine do not count', () => {
  assert.deepEqual(differing(aRow({ _offset: 5, _c: [['metrics:products', 'live', 1]] })), []);
  assert.deepEqual(differing(null, null), []);
});

test('a time may drop trailing zeros, but not its Z, nor a microsecond', () => {
  assert.deepEqual(differing(aRow({ at: '2026-11-22T10:00:00.12Z' })), []);
  for (const at of ['2026-11-22T10:00:00.12', '2026-11-22T10:00:00.120001Z', '2026-11-22T10:00:00.12+00:00', 'infinity', null, 1]) assert.deepEqual(differing(aRow({ at })), ['at']);
  assert.deepEqual(differing(aRow({ at: 'infinity' }), aRow({ at: 'infinity' })), []);
  assert.deepEqual(differing(aRow({ at: '-infinity' }), aRow({ at: 'infinity' })), ['at']);
});

test('money is text, digit for digit; integers are numbers, also beyond 2^53', () => {
  for (const price of ['1.5', '1.51', 1.5, null, 'NaN']) assert.deepEqual(differing(aRow({ price })), ['price']);
  assert.deepEqual(differing(aRow({ id: '1' })), ['id']);
  const big = (id: string): string => `{"id":${id}}`;
  assert.deepEqual(differing(big('9007199254740993'), big('9007199254740993')), []);
  assert.deepEqual(differing(big('9007199254740992'), big('9007199254740993')), ['id']);
});

test('a missing column, an extra one, a missing row, a foreign row and a broken one are each named', () => {
  assert.deepEqual(compareRow('product:1', columns, aRow(), JSON.stringify({ id: 1, at: '2026-11-22T10:00:00.12Z', colour: 'red' })), [
    { key: 'product:1', column: 'price', expected: '"1.50"', found: absent },
    { key: 'product:1', column: 'colour', expected: absent, found: '"red"' },
  ]);
  assert.deepEqual(differing(aRow({ _offset: 5, _c: [], colour: 'red' })), ['colour'], 'behind the members of the engine');
  assert.deepEqual(differing(null), ['(row)']);
  assert.deepEqual(differing(aRow(), null), ['(row)']);
  for (const text of ['', 'x', '[]', 'null', '{"id":']) assert.deepEqual(differing(text), ['(row)']);
});

test('ISO times of any year PostgreSQL holds become microseconds since 1970', () => {
  const known: [text: string, micros: bigint][] = [
    ['1970-01-01T00:00:00Z', 0n],
    ['1969-12-31T23:59:59.999999Z', -1n],
    ['2000-02-29T12:00:00.5Z', 951_825_600_500_000n],
    ['0000-01-01T00:00:00Z', -62_167_219_200_000_000n],
    ['-0043-03-15T12:00:00Z', -63_517_780_800_000_000n],
    ['+10000-01-01T00:00:00Z', 253_402_300_800_000_000n],
    ['+294276-12-31T23:59:59.999999Z', 9_224_318_015_999_999_999n],
  ];
  for (const [text, micros] of known) assert.equal(isoMicros(text), micros, text);
  for (let day = Date.UTC(1890, 0, 1); day < Date.UTC(2110, 0, 1); day += 86_400_000) assert.equal(isoMicros(new Date(day).toISOString()), BigInt(day) * 1000n);
  for (const text of ['', '2026-11-22', '2026-11-22 10:00:00Z', '2026-11-22T10:00:00']) assert.equal(isoMicros(text), null);
});

test('a set differs by a missing member, a foreign member and a wrong score', () => {
  const expected = new Map([['1', '1000'], ['2', '2000'], ['3', '0']]);
  assert.deepEqual(compareSet('s', expected, ['3', '0', '1', '1000', '2', '2000']), []);
  assert.deepEqual(compareSet('s', expected, ['1', '1001', '3', '0', '4', '5']), [
    { key: 's', member: '1', expected: '1000', found: '1001' },
    { key: 's', member: '2', expected: '2000', found: absent },
    { key: 's', member: '4', expected: absent, found: '5' },
  ]);
});

test('a counter that is absent is 0, event counters have no twin, and sums beyond 2^53 are exact', () => {
  const revenue = { hash: 'metrics:revenue', field: 'total_cents', amount: '9007199254740993' };
  const found = (fields: Record<string, string>) => new Map([['metrics:revenue', fields], ['metrics:orders', { live: '0', created: '5', updated: '2', deleted: '1' }]]);
  assert.deepEqual(compareAmounts([revenue], found({ total_cents: '9007199254740993', 'cents:old': '0' })).differences, []);
  assert.deepEqual(compareAmounts([revenue], found({ total_cents: '9007199254740992', created: '1', x: 'y' })).differences, [
    { key: 'metrics:revenue', field: 'total_cents', expected: '9007199254740993', found: '9007199254740992', difference: '-1' },
    { key: 'metrics:revenue', field: 'created', expected: '0', found: '1', difference: '1' },
    { key: 'metrics:revenue', field: 'x', expected: '0', found: 'y', difference: '?' },
  ]);
  assert.deepEqual(compareAmounts([revenue], new Map()).differences.map(({ found: text, difference }) => [text, difference]), [['0', '-9007199254740993']]);
});

test('a key of another type is one difference that names it', () => {
  assert.deepEqual(compareSet('s', new Map([['1', '1000']]), 'string'), [{ key: 's', member: '(set)', expected: '(a zset)', found: '(a string)' }]);
  const revenue = { hash: 'metrics:revenue', field: 'total_cents', amount: '5' };
  assert.deepEqual(compareAmounts([revenue], new Map([['metrics:revenue', 'string']])), {
    checked: 1,
    differences: [{ key: 'metrics:revenue', field: '(hash)', expected: '(a hash)', found: '(a string)', difference: '?' }],
  });
});

test('what parked rows hold is left out of a counter', () => {
  const live = { hash: 'metrics:orders', field: 'live', amount: '5' };
  const parked = (hash: string, field: string): bigint => (hash === 'metrics:orders' && field === 'live' ? 2n : 0n);
  assert.deepEqual(compareAmounts([live], new Map([['metrics:orders', { live: '7' }]]), parked).differences, []);
  assert.deepEqual(compareAmounts([live], new Map([['metrics:orders', { live: '8' }]]), parked).differences, [
    { key: 'metrics:orders', field: 'live', expected: '5', found: '6', difference: '1' },
  ]);
});
