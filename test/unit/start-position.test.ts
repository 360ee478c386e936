import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideStart, positionOf } from '../../src/domain/start-position.ts';

const gap = (start: object): string => ('gap' in start ? String(start.gap) : assert.fail(`starts: ${JSON.stringify(start, (_, value: unknown) => String(value))}`));

test('a pipeline that never applied anything reads the topic from its beginning', () => {
  assert.deepEqual(decideStart({ offset: null, fingerprint: null, seen: null }, { low: 0n, high: 0n }), { offset: 0n, expect: null });
  assert.deepEqual(decideStart({ offset: null, fingerprint: null, seen: null }, { low: 0n, high: 500n }), { offset: 0n, expect: null });
  assert.deepEqual(decideStart({ offset: null, fingerprint: null, seen: '0:7' }, { low: 7n, high: 500n }), { offset: 7n, expect: null }, 'only transaction markers were before');
});

test('a new pipeline sees a gap when the beginning of the topic is gone', () => {
  assert.match(gap(decideStart({ offset: null, fingerprint: null, seen: null }, { low: 7n, high: 500n })), /beginning is gone/);
});

test('a fence within the log goes on, and re-reads the record before it', () => {
  assert.deepEqual(decideStart({ offset: 10n, fingerprint: 'f', seen: null }, { low: 0n, high: 500n }), { offset: 9n, expect: 'f' });
});

test('a drained log goes on at its end', () => {
  assert.deepEqual(decideStart({ offset: 500n, fingerprint: 'f', seen: null }, { low: 0n, high: 500n }), { offset: 499n, expect: 'f' });
});

test('the record before the fence is not asked for where retention has taken it or none was recorded', () => {
  assert.deepEqual(decideStart({ offset: 10n, fingerprint: 'f', seen: null }, { low: 10n, high: 500n }), { offset: 10n, expect: null });
  assert.deepEqual(decideStart({ offset: 10n, fingerprint: null, seen: null }, { low: 0n, high: 500n }), { offset: 10n, expect: null });
  assert.deepEqual(decideStart({ offset: 10n, fingerprint: 'f', seen: null }, { low: 9n, high: 500n }), { offset: 9n, expect: 'f' });
});

test('a fence beyond the log is a gap: the topic was re-created or cut', () => {
  assert.match(gap(decideStart({ offset: 501n, fingerprint: 'f', seen: null }, { low: 0n, high: 500n })), /re-created or cut/);
  assert.match(gap(decideStart({ offset: 1n, fingerprint: 'f', seen: null }, { low: 0n, high: 0n })), /re-created or cut/);
});

test('a fence before the log is a gap: changes were deleted unread', () => {
  assert.match(gap(decideStart({ offset: 9n, fingerprint: 'f', seen: null }, { low: 10n, high: 500n })), /deleted unread/);
});

test('a log that retention has emptied up to what was seen behind the fence has lost nothing', () => {
  assert.deepEqual(decideStart({ offset: 9n, fingerprint: 'f', seen: '9:10' }, { low: 10n, high: 10n }), { offset: 10n, expect: null });
  assert.match(gap(decideStart({ offset: 9n, fingerprint: 'f', seen: '9:10' }, { low: 11n, high: 11n })), /deleted unread/);
  assert.match(gap(decideStart({ offset: 9n, fingerprint: 'f', seen: '8:10' }, { low: 10n, high: 10n })), /deleted unread/, 'seen under another fence');
});

test('a position counts only under the fence it was told with, and never moves back', () => {
  assert.equal(positionOf(9n, '9:12'), 12n);
  assert.equal(positionOf(9n, '8:12'), 9n);
  assert.equal(positionOf(9n, '9:3'), 9n);
  assert.equal(positionOf(9n, null), 9n);
});

test('offsets beyond 2^53 are compared exactly', () => {
  const high = 9007199254740993n;
  assert.deepEqual(decideStart({ offset: high, fingerprint: 'f', seen: null }, { low: 0n, high }), { offset: high - 1n, expect: 'f' });
  gap(decideStart({ offset: high + 1n, fingerprint: 'f', seen: null }, { low: 0n, high }));
});
