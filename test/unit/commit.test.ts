/**
 * Goal: what commit.ts writes is what commit.lua reads. Method: read the two streams by the script's own grammar and see that
 * nothing is left over and nothing is missing; what the script then does is tested against a real Redis.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeReply, encodeCommit, expectFence, moveFence, type Advance, type Fence } from '../../src/replica/commit.ts';
import { decodeTableEvent, type SourceRecord } from '../../src/domain/change-event.ts';
import { foldBatch, type WritePlan } from '../../src/domain/fold.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { idsParked, settleParked } from '../../src/domain/parked.ts';
import { parseStoredRow, type StoredRow } from '../../src/domain/stored-row.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { aChange, anOrder, aRecord } from '../builders.ts';

type Script = ReturnType<typeof encodeCommit>;

const keys = createKeys('{shop}:');
const fence: Fence = { topic: 't', partition: 3, offset: 40n, epoch: 9, spec: 's' };
const advance: Advance = { lastOffset: 49n, fingerprint: 'f', recordMs: '1234' };

function planOf(records: SourceRecord[], stored = new Map<string, StoredRow>(), changesMax = 100): WritePlan {
  const state = { generation: 0, mark: '0' };
  const events = records.map((record) => decodeTableEvent(orders, record));
  const settled = settleParked({ table: orders, state, events, stored, marks: new Map(idsParked(events).map((id) => [id, ''])) });
  return foldBatch({ table: orders, state, ...settled, stored, changesMax });
}

const encode = (writes: WritePlan, changesMax = 100): Script =>
  encodeCommit(keys, { expect: expectFence(keys, fence), plan: { writes, table: 'orders', changesMax }, ...moveFence(keys, fence, advance) });

/** Reads as commit.lua does, block by block. */
function readAsScript(script: Script) {
  const left = { keys: [...script.keys], args: [...script.args] };
  const key = (): string => left.keys.shift() ?? assert.fail('a key is missing');
  const arg = (): string => String(left.args.shift() ?? assert.fail('an argument is missing'));
  const times = <T>(read: () => T): T[] => Array.from({ length: Number(arg()) }, read);
  const read = {
    expectedFields: times(() => [key(), arg(), arg()]),
    expected: times(() => [key(), arg()]),
    types: times(() => [key(), arg()]),
    members: times(() => [key(), arg(), arg(), arg()]),
    counters: times(() => ({ hash: key(), fields: times(() => [arg(), arg()]) })),
    totals: times(() => [key(), arg()]),
    sets: times(() => times(() => [key(), arg()])),
    deletes: times(() => times(() => key())),
    parked: times(() => [key(), arg(), arg()]),
    maxima: times(() => [key(), arg(), arg()]),
    changes: times(() => ({ stream: key(), cap: arg(), entries: times(() => [arg(), arg(), arg(), arg(), arg()]) })),
    trimmed: times(() => [arg(), times(() => key())]),
    last: times(() => [arg(), arg(), times(() => [key(), key()])]),
    removed: times(() => [times(() => arg()), times(() => key())]),
    lives: times(() => [arg(), times(() => key())]),
    toldAbove: times(() => [key(), arg(), times(() => [key(), arg(), arg()])]),
    told: times(() => [key(), arg(), arg()]),
    fields: times(() => [key(), arg(), arg()]),
  };
  assert.deepEqual(left, { keys: [], args: [] });
  return read;
}

test('the fence names what must be stored, the epoch first, and what will be', () => {
  const read = readAsScript(encode(planOf([])));
  assert.deepEqual(read.expectedFields, [['{shop}:cdc:fence:owner:t-3', 'epoch', '9'], ['{shop}:cdc:fence:pipeline', 'spec', 's']]);
  assert.deepEqual(read.expected, [['{shop}:cdc:offset:t-3', '40']]);
  assert.deepEqual(read.sets, [[['{shop}:cdc:offset:t-3', '50']]]);
  assert.deepEqual(read.fields, [['{shop}:cdc:fence:owner:t-3', 'last', 'f'], ['{shop}:cdc:fence:owner:t-3', 'ts_ms', '1234']]);
});

test('a fence that was never written is expected to be absent', () => {
  assert.deepEqual(expectFence(keys, { ...fence, offset: null }).strings, [['{shop}:cdc:offset:t-3', '']]);
});

test('a batch without effect still moves the fence and nothing else', () => {
  const { expectedFields: _, expected: __, fields: ___, sets, ...writes } = readAsScript(encode(planOf([aRecord({ key: '{"id":1}', value: null })])));
  assert.equal(sets.flat().length, 1);
  for (const [block, entries] of Object.entries(writes)) assert.deepEqual(entries, [], block);
});

test('an insert writes its row, counters, set member, maxima and change entry', () => {
  const read = readAsScript(encode(planOf([aChange({ offset: 41, lsn: 77, commitMs: 88, after: anOrder({ id: 5, customer_id: 2, order_date: '1970-01-01T00:00:01Z' }) })])));
  assert.deepEqual(read.sets.flat().map(([key]) => key), ['{shop}:order:5', '{shop}:cdc:offset:t-3']);
  assert.deepEqual(read.types, [['{shop}:cdc:changes:orders', 'stream']]);
  assert.deepEqual(read.members, [['{shop}:customer:2:orders', '5', '', '1000']]);
  assert.deepEqual(read.counters.find(({ hash }) => hash === '{shop}:metrics:revenue')?.fields, [['cents:pending', '1000'], ['total_cents', '1000']]);
  assert.deepEqual(read.totals, [['{shop}:cdc:stats:total', '1']]);
  assert.deepEqual(read.maxima, [['{shop}:cdc:stats:orders', 'last_lsn', '77'], ['{shop}:cdc:stats:orders', 'last_ts_ms', '88']]);
  assert.deepEqual(read.changes, [{ stream: '{shop}:cdc:changes:orders', cap: '100', entries: [['c', 'order:5', '41', '77', '']] }]);
});

test('a delete takes its row, its member and its amounts back', () => {
  const before = anOrder({ id: 5, customer_id: 2 });
  const text = [...planOf([aChange({ offset: 1, after: before })]).rows.values()][0]!;
  const read = readAsScript(encode(planOf([aChange({ op: 'd', before, offset: 42 })], new Map([['order:5', parseStoredRow(text)]]))));
  assert.deepEqual(read.deletes, [['{shop}:order:5', '{shop}:cdc:fence:parked:orders:5']]);
  assert.deepEqual(read.parked, [['{shop}:cdc:parked:orders:5', '42', 'XX']]);
  assert.deepEqual(read.members, [['{shop}:customer:2:orders', '5', '1795341600123', '']]);
  assert.deepEqual(read.counters.find(({ hash }) => hash === '{shop}:metrics:revenue')?.fields, [['cents:pending', '-1000'], ['total_cents', '-1000']]);
  assert.deepEqual(read.sets.flat().map(([key]) => key), ['{shop}:cdc:offset:t-3']);
});

test('a counter that does not move is not written', () => {
  const after = anOrder({ id: 5 });
  const text = [...planOf([aChange({ offset: 1, after })]).rows.values()][0]!;
  const read = readAsScript(encode(planOf([aChange({ op: 'u', before: after, after: { ...after, shipping_address: 'x' }, offset: 42 })], new Map([['order:5', parseStoredRow(text)]]))));
  assert.deepEqual(read.counters.map(({ hash, fields }) => [hash, fields]), [
    ['{shop}:cdc:stats:orders', [['u', '1']]],
    ['{shop}:metrics:orders', [['updated', '1']]],
  ]);
});

test('a dead letter parks its key from the offset last applied to it on, and expects the mark that it read', () => {
  const read = readAsScript(encode(planOf([aChange({ offset: 41, after: anOrder({ id: 5 }) }), aRecord({ offset: 42, key: '{"id":5}', value: '{' }), aRecord({ offset: 43, key: '{"id":6}', value: '{' })])));
  assert.deepEqual(read.expected.slice(1), [['{shop}:cdc:fence:parked:orders:5', ''], ['{shop}:cdc:fence:parked:orders:6', '']]);
  assert.deepEqual(read.sets.flat().slice(2), [['{shop}:cdc:fence:parked:orders:5', '41:42:0'], ['{shop}:cdc:fence:parked:orders:6', '42:43:0']]);
  assert.deepEqual(read.parked, [['{shop}:cdc:parked:orders:5', '41', ''], ['{shop}:cdc:parked:orders:6', '-1', 'NX']]);
});

test('no call of the script gets more than 1,000 arguments, however many rows there are', () => {
  for (const rows of [500, 501, 2000]) {
    const read = readAsScript(encode(planOf(Array.from({ length: rows }, (_, i) => aChange({ offset: i, after: anOrder({ id: i + 1 }) })))));
    assert.ok(read.sets.every((slice) => slice.length * 2 <= 1000));
    assert.equal(new Set(read.sets.flat().map(([key]) => key)).size, rows + 1);
  }
});

test('with no change entries wanted the stream is not touched', () => {
  const read = readAsScript(encode(planOf([aChange({ offset: 41 })], new Map(), 0), 0));
  assert.deepEqual(read.changes, []);
  assert.ok(!read.types.some(([, type]) => type === 'stream'));
});

test('a commit of plain keys is read by the same script', () => {
  const commit = { expect: { fields: [], strings: [] }, strings: [['a', '1']] as [string, string][], removed: ['b'] };
  const { sets, deletes, ...others } = readAsScript(encodeCommit(keys, commit));
  assert.deepEqual([sets, deletes], [[[['a', '1']]], [['b']]]);
  for (const [block, entries] of Object.entries(others)) assert.deepEqual(entries, [], block);
});

test('every answer of the script is understood, and no other', () => {
  assert.deepEqual(decodeReply(['ok']), { result: 'applied' });
  assert.deepEqual(decodeReply(['stale', 'cdc:offset:t-3', '17']), { result: 'stale', key: 'cdc:offset:t-3', found: '17' });
  assert.deepEqual(decodeReply(['overflow', 'metrics:revenue total_cents']), { result: 'overflow', counter: 'metrics:revenue total_cents' });
  assert.throws(() => decodeReply(['type', 'customer:1:orders', 'string']), /customer:1:orders is a string/);
  assert.throws(() => decodeReply(['other']), TypeError);
  assert.throws(() => decodeReply([]), TypeError);
});
