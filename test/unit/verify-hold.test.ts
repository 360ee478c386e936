/** Goal: a hold stops exactly the events its snapshot does not see, also where the 32-bit transaction id wraps around. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVisible, parseHold, parseSnapshot } from '../../src/domain/hold.ts';

const visible = (snapshot: string, ...txIds: number[]): boolean[] => txIds.map((txId) => isVisible(txId, parseSnapshot('t', snapshot)));
const wrap = 2 ** 32;

test('below xmin is visible; running or not begun is not; between, what had ended is', () => {
  assert.deepEqual(visible('100:105:101,103', 99, 100, 101, 102, 103, 104, 105, 106), [true, true, false, true, false, true, false, false]);
  assert.deepEqual(visible('100:100:', 99, 100), [true, false]);
});

test('the 32-bit id belongs to the epoch nearest to the snapshot', () => {
  assert.deepEqual(visible(`${7 * wrap + 10}:${7 * wrap + 12}:${7 * wrap + 10}`, 9, 10, 11, 12), [true, false, true, false]);
  assert.deepEqual(visible(`${7 * wrap + 10}:${7 * wrap + 12}:${7 * wrap + 10}`, wrap - 1), [true], 'the epoch before');
  assert.deepEqual(visible(`${7 * wrap - 5}:${7 * wrap - 3}:${7 * wrap - 5}`, wrap - 6, wrap - 5, wrap - 4, wrap - 3, 3), [true, false, true, false, false], 'the next epoch');
});

test('a hold is read back as written; anything else is none', () => {
  const hold = parseSnapshot('token', '100:105:101,103');
  assert.deepEqual(hold, { token: 'token', xmin: '100', xmax: '105', xip: ['101', '103'] });
  assert.deepEqual(parseHold(JSON.stringify(hold)), hold);
  for (const text of [null, '', 'stop', '{}', '{"token":"t","xmin":1,"xmax":2,"xip":[]}']) assert.equal(parseHold(text), null);
});
