import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitBatch } from '../../src/consumers/batch-limits.ts';
import type { SourceRecord } from '../../src/domain/change-event.ts';
import { aRecord } from '../builders.ts';

/** Records of the given value sizes with a key of one byte each. */
const records = (...sizes: number[]): SourceRecord[] => sizes.map((size, offset) => aRecord({ offset, key: 'k', value: 'x'.repeat(size) }));
const offsets = (parts: Iterable<SourceRecord[]>): number[][] => [...parts].map((part) => part.map(({ offset }) => Number(offset)));
const roomy = { rowsMax: 1000, bytesMax: 1_000_000 };

test('nothing gives no part', () => {
  assert.deepEqual(offsets(splitBatch([], roomy)), []);
});

test('what fits stays one part', () => {
  assert.deepEqual(offsets(splitBatch(records(1, 2, 3), roomy)), [[0, 1, 2]]);
});

test('a part holds at most rowsMax records, exactly that many when there are more', () => {
  assert.deepEqual(offsets(splitBatch(records(1, 1, 1, 1, 1), { ...roomy, rowsMax: 2 })), [[0, 1], [2, 3], [4]]);
  assert.deepEqual(offsets(splitBatch(records(1, 1, 1, 1), { ...roomy, rowsMax: 4 })), [[0, 1, 2, 3]]);
  assert.deepEqual(offsets(splitBatch(records(1, 1), { ...roomy, rowsMax: 1 })), [[0], [1]]);
});

test('a part holds at most bytesMax of keys and values', () => {
  assert.deepEqual(offsets(splitBatch(records(4, 4, 4), { ...roomy, bytesMax: 10 })), [[0, 1], [2]]);
  assert.deepEqual(offsets(splitBatch(records(4, 5, 4), { ...roomy, bytesMax: 11 })), [[0, 1], [2]]);
  assert.deepEqual(offsets(splitBatch(records(4, 5, 4), { ...roomy, bytesMax: 10 })), [[0], [1], [2]]);
});

test('a record larger than bytesMax is a part of its own, wherever it stands', () => {
  const limits = { ...roomy, bytesMax: 10 };
  assert.deepEqual(offsets(splitBatch(records(50, 1, 1), limits)), [[0], [1, 2]]);
  assert.deepEqual(offsets(splitBatch(records(1, 50, 1), limits)), [[0], [1], [2]]);
  assert.deepEqual(offsets(splitBatch(records(1, 1, 50), limits)), [[0, 1], [2]]);
  assert.deepEqual(offsets(splitBatch(records(50, 50), limits)), [[0], [1]]);
});

test('records without key or value have no size but count as rows', () => {
  const empty = [0, 1, 2].map((offset) => aRecord({ offset, key: null, value: null }));
  assert.deepEqual(offsets(splitBatch(empty, { rowsMax: 2, bytesMax: 1 })), [[0, 1], [2]]);
});

test('no record is lost, doubled or reordered', () => {
  const all = records(...Array.from({ length: 97 }, (_, i) => (i * 7919) % 50));
  const parts = offsets(splitBatch(all, { rowsMax: 5, bytesMax: 60 }));
  assert.deepEqual(parts.flat(), all.map(({ offset }) => Number(offset)));
  assert.ok(parts.every((part) => part.length > 0 && part.length <= 5));
});
