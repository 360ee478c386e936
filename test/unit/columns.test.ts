import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { cents, ColumnError, convertColumn, epochMs, label, type ColumnType, type ColumnValue } from '../../src/domain/columns.ts';

const convert = (type: ColumnType, value: unknown): ColumnValue => convertColumn('price', type, value);
const centsOf = (value: ColumnValue): number | bigint => cents({ price: value }, 'price');
const msOf = (value: ColumnValue): number | null => epochMs({ at: value }, 'at');

suite('converting', () => {
  test('NULL is null whatever the type', () => {
    for (const type of ['integer', 'text', 'money', 'timestamp'] as const) assert.equal(convert(type, null), null);
  });

  test('values of their type pass unchanged', () => {
    assert.equal(convert('integer', -7), -7);
    assert.equal(convert('integer', 9007199254740993n), 9007199254740993n);
    assert.equal(convert('text', ''), '');
    assert.equal(convert('text', 'é🙂\0'), 'é🙂\0');
    for (const money of ['0', '-0.00', '19.99', '99999999.99', '-12.3', '1.005']) assert.equal(convert('money', money), money);
  });

  test('NaN money has one spelling', () => {
    for (const spelling of ['NaN', 'NAN', 'nan']) assert.equal(convert('money', spelling), 'NaN');
  });

  test('timestamps keep the precision they came with', () => {
    for (const stamp of [
      '2026-11-22T10:00:00Z',
      '2026-11-22T10:00:00.5Z',
      '2026-11-22T10:00:00.123456Z',
      '-0043-03-15T12:00:00.123456Z',
      '+10000-01-01T00:00:00Z',
      '0000-12-31T00:00:00Z',
    ]) {
      assert.equal(convert('timestamp', stamp), stamp);
    }
  });

  test("Debezium's sentinels are infinity", () => {
    assert.equal(convert('timestamp', '+292278994-08-16T23:00:00Z'), 'infinity');
    assert.equal(convert('timestamp', '-292275055-05-16T16:47:04.192Z'), '-infinity');
  });

  test('a value of another type is refused, never guessed', () => {
    const wrong: [ColumnType, unknown][] = [
      ['integer', '1'],
      ['integer', 1.5],
      ['integer', true],
      ['integer', Number.NaN],
      ['text', 1],
      ['text', {}],
      ['money', 19.99],
      ['money', ''],
      ['money', '1,00'],
      ['money', '1e3'],
      ['money', '.5'],
      ['money', '1.'],
      ['money', ' 1'],
      ['money', '1\n'],
      ['money', 'infinite'],
      ['timestamp', 1763805600000],
      ['timestamp', '2026-11-22'],
      ['timestamp', '2026-11-22T10:00:00'],
      ['timestamp', '2026-11-22T10:00:00+01:00'],
      ['timestamp', '2026-11-22T10:00:00Z\n'],
      ['timestamp', undefined],
    ];
    for (const [type, value] of wrong) assert.throws(() => convert(type, value), ColumnError, `${type} ${String(value)}`);
  });

  test('a moment that no calendar has is refused: its score would not be a number', () => {
    for (const stamp of ['2026-13-01T00:00:00Z', '2026-11-22T25:00:00Z', '2026-11-22T10:61:00Z', '2026-00-10T00:00:00Z']) {
      assert.throws(() => convert('timestamp', stamp), ColumnError, stamp);
    }
  });

  test('a refusal names the column and never the value', () => {
    assert.throws(() => convertColumn('email', 'text', 4111111111111111), (error: Error) => error.message.includes('email') && !error.message.includes('4111'));
  });
});

suite('money in cents', () => {
  test('is exact', () => {
    const expected: [string, number][] = [['0', 0], ['1', 100], ['1.5', 150], ['19.99', 1999], ['0.01', 1], ['-0.01', -1], ['-12.34', -1234], ['0.29', 29], ['99999999.99', 9999999999], ['007.10', 710]];
    for (const [text, value] of expected) assert.equal(centsOf(text), value, text);
  });

  test('zero has no sign', () => {
    for (const text of ['-0.00', '-0', '-0.000']) assert.ok(Object.is(centsOf(text), 0), text);
  });

  test('NULL and NaN add nothing', () => {
    assert.equal(centsOf(null), 0);
    assert.equal(centsOf('NaN'), 0);
  });

  test('trailing zeros beyond the cent are no loss; parts of a cent are refused', () => {
    assert.equal(centsOf('1.50000'), 150);
    assert.throws(() => centsOf('1.005'), ColumnError);
    assert.throws(() => centsOf('-0.001'), ColumnError);
  });

  test('beyond 2^53 it is a BigInt, digit for digit', () => {
    assert.equal(centsOf('90071992547409.91'), 9007199254740991);
    assert.equal(centsOf('90071992547409.93'), 9007199254740993n);
    assert.equal(centsOf('-123456789012345678901234567890.12'), -12345678901234567890123456789012n);
  });
});

suite('milliseconds since 1970', () => {
  test('agree with the calendar', () => {
    const expected: [string, number][] = [
      ['1970-01-01T00:00:00Z', 0],
      ['2026-11-22T10:00:00Z', Date.UTC(2026, 10, 22, 10)],
      ['2024-02-29T23:59:59.999Z', Date.UTC(2024, 1, 29, 23, 59, 59, 999)],
      ['1600-02-29T00:00:00Z', Date.UTC(1600, 1, 29)],
      ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
    ];
    for (const [stamp, ms] of expected) assert.equal(msOf(stamp), ms, stamp);
  });

  test('microseconds are rounded down, before 1970 too', () => {
    assert.equal(msOf('1970-01-01T00:00:00.000999Z'), 0);
    assert.equal(msOf('1970-01-01T00:00:00.1239Z'), 123);
    assert.equal(msOf('1969-12-31T23:59:59.999999Z'), -1);
    assert.equal(msOf('1969-12-31T23:59:59.999001Z'), -1);
    assert.equal(msOf('1969-12-31T23:59:59.9Z'), -100);
  });

  test('years that Date.parse cannot read are counted right', () => {
    const after9999 = Date.UTC(10000, 0, 1);
    assert.equal(msOf('10000-01-01T00:00:00Z'), after9999);
    assert.equal(msOf('+10000-01-01T00:00:00Z'), after9999);
    assert.equal(msOf('294276-12-31T23:59:59Z'), 9224318015999000); // the last second PostgreSQL has
    assert.equal(msOf('0001-01-01T00:00:00Z'), -62135596800000);
    assert.equal(msOf('0000-01-01T00:00:00Z'), -62167219200000);
    assert.equal(msOf('-0001-12-31T23:59:59.999Z'), -62167219200001);
    assert.equal(msOf('-4713-11-24T00:00:00Z'), -210866803200000); // Julian day 0: the first timestamp PostgreSQL has
  });

  test('there are none where there is no finite moment', () => {
    for (const value of [null, 'infinity', '-infinity']) assert.equal(msOf(value), null);
  });
});

test('a label is the text, or (none) for NULL', () => {
  assert.equal(label({ state: 'TX' }, 'state'), 'TX');
  assert.equal(label({ state: '' }, 'state'), '');
  assert.equal(label({ state: null }, 'state'), '(none)');
});
