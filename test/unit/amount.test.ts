import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, fitsInt64, multiply, negate } from '../../src/domain/amount.ts';

const max = Number.MAX_SAFE_INTEGER;

test('sums within 2^53 are numbers, beyond it BigInt, and back again', () => {
  assert.equal(add(1, 2), 3);
  assert.equal(add(max, 0), max);
  assert.equal(add(max, 1), 9007199254740992n);
  assert.equal(add(max, max), 18014398509481982n);
  assert.equal(add(9007199254740992n, -1), max);
  assert.equal(add(-max, -2), -9007199254740993n);
});

test('a sum is exact whatever the order', () => {
  const amounts = [max, max, -max, 3, 9007199254740993n, -9007199254740993n, -max];
  const forwards = amounts.reduce<number | bigint>((sum, amount) => add(sum, amount), 0);
  const backwards = amounts.toReversed().reduce<number | bigint>((sum, amount) => add(sum, amount), 0);
  assert.equal(forwards, 3);
  assert.equal(backwards, 3);
});

test('taking back an amount leaves nothing, not even minus zero', () => {
  for (const amount of [0, 1, -1, max, 9007199254740993n, -9007199254740993n]) {
    const left = add(amount, negate(amount));
    assert.ok(Object.is(left, 0), `${amount} leaves ${String(left)}`);
  }
  assert.ok(Object.is(negate(0), 0));
});

test('a negated amount has the form that its size asks for', () => {
  assert.equal(negate(5), -5);
  assert.equal(negate(-max), max);
  assert.equal(negate(9007199254740992n), -9007199254740992n);
});

test('products are exact beyond 2^53', () => {
  assert.equal(multiply(3, 7), 21);
  assert.equal(multiply(max, max), 81129638414606663681390495662081n);
  assert.equal(multiply(2147483647, 9999999999), 21474836467852516353n);
  assert.equal(multiply(9007199254740993n, 1), 9007199254740993n);
  assert.equal(multiply(9007199254740993n, 0), 0);
});

test('a product of zero has no sign', () => {
  assert.ok(Object.is(multiply(-5, 0), 0));
  assert.ok(Object.is(multiply(0, -5), 0));
  assert.ok(Object.is(multiply(-9007199254740993n, 0), 0));
});

test('only what Redis can hold and take back fits', () => {
  const int64Max = 9223372036854775807n;
  assert.ok(fitsInt64(0));
  assert.ok(fitsInt64(max));
  assert.ok(fitsInt64(int64Max));
  assert.ok(fitsInt64(-int64Max));
  assert.ok(!fitsInt64(int64Max + 1n));
  assert.ok(!fitsInt64(-int64Max - 1n)); // -2^63 exists, +2^63 does not: it could not be undone
  assert.ok(!fitsInt64(2n ** 80n));
});
