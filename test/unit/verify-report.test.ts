/** Goal: a person sees one line per check and, only when something differs, a table of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatReport } from '../../src/verify/report.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';

const aReport = (parts: Partial<VerifyReport> = {}): VerifyReport => ({
  ok: true,
  rows: { checked: 1200, differences: [], stopped: false, elapsedMs: 1500 },
  sets: { checked: 30, differences: [], stopped: false, elapsedMs: 20 },
  aggregates: { checked: 40, differences: [], stopped: false, method: 'hold', elapsedMs: 900 },
  parked: [],
  drift: [],
  behind: false,
  ...parts,
});

test('an equal replica: a line per check, no table', () => {
  assert.equal(
    formatReport(aReport()),
    ['rows           1200 checked      0 differ     1.5 s', 'sets             30 checked      0 differ     0.0 s', 'counters         40 checked      0 differ     0.9 s  hold', '', 'Redis equals PostgreSQL.'].join('\n'),
  );
});

test('a differing one: expected, found and difference of each, aligned, long values cut', () => {
  const rows = { ...aReport().rows, differences: [{ key: 'order:1', column: 'status', expected: '"pending"', found: `"${'x'.repeat(100)}"` }] };
  const aggregates = { ...aReport().aggregates, differences: [{ key: 'metrics:orders', field: 'live', expected: '5', found: '12', difference: '7' }] };
  const lines = formatReport(aReport({ ok: false, rows, aggregates, parked: ['cdc:parked:orders:3'] })).split('\n');
  assert.deepEqual(lines.slice(3), [
    'parked, not compared: cdc:parked:orders:3',
    '',
    `key             what    expected   found${' '.repeat(57)}difference`,
    `order:1         status  "pending"  "${'x'.repeat(58)}…`,
    `metrics:orders  live    5          12${' '.repeat(60)}7`,
    '',
    'Redis DIFFERS from PostgreSQL.',
  ]);
});

test('a check that gave up early, or a pipeline that is behind, is said', () => {
  assert.match(formatReport(aReport({ behind: true })), /did not catch up/);
  assert.match(formatReport(aReport({ ok: false, sets: { ...aReport().sets, stopped: true } })), /^sets .* stopped early: too many$/m);
});

test('parked rows are told where equality is', () => {
  const lastLine = (parked: string[]): string | undefined => formatReport(aReport({ parked })).split('\n').at(-1);
  assert.equal(lastLine(['cdc:parked:orders:3']), 'Redis equals PostgreSQL, 1 parked row left out.');
  assert.equal(lastLine(['cdc:parked:orders:3', 'cdc:parked:orders:4']), 'Redis equals PostgreSQL, 2 parked rows left out.');
});

test('drift is told as such and is no equality; beside a real difference it says nothing else', () => {
  const drift = [{ table: 'orders', why: 'column x added', differences: 4711 }];
  const lines = formatReport(aReport({ ok: false, drift })).split('\n');
  assert.deepEqual(lines.slice(3), [
    'drift: orders (column x added), being brought in line: 4711 differ',
    '',
    'Redis does not equal PostgreSQL yet: orders being brought in line.',
  ]);
  const rows = { ...aReport().rows, differences: [{ key: 'order:1', column: 'status', expected: '"a"', found: '"b"' }] };
  assert.equal(formatReport(aReport({ ok: false, drift, rows })).split('\n').at(-1), 'Redis DIFFERS from PostgreSQL.');
});

test('a long list of parked rows is cut for a person', () => {
  const parked = Array.from({ length: 25 }, (_, i) => `cdc:parked:orders:${i}`);
  assert.match(formatReport(aReport({ parked })), /^parked, not compared: cdc:parked:orders:0, .*cdc:parked:orders:19 and 5 more$/m);
});
