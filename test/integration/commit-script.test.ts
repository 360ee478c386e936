/**
 * Goal: the commit script on a real Redis does what the engine's property test assumes: all or nothing, fence first.
 * Method: the real CDC processor over a real Redis; histories and deliveries are random, refusals are provoked one by one.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { CdcProcessor } from '../../src/consumers/cdc/processor.ts';
import type { Claim, Processor } from '../../src/consumers/processor.ts';
import type { Rejected, SourceRecord } from '../../src/domain/change-event.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { decodeReply, encodeCommit } from '../../src/replica/commit.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { assertReplica } from '../assert-replica.ts';
import { aChange, aRecord, anOrder } from '../builders.ts';
import { deliverAll } from '../deliver.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { deliveries, tableNames, truncatedHistory } from '../shop-stream.ts';

const keys = createKeys('{test}:');
let redis: TestRedis;
let processor: Processor;
let letters: Rejected[];

before(async () => {
  redis = await startRedis('{test}:');
});
after(() => redis.stop());
beforeEach(async () => {
  await wipe();
  letters = [];
  processor = new CdcProcessor({
    redis: redis.store,
    keys,
    status: createReplicaStatus(redis.store, keys),
    tables,
    topicPrefix: 'shop',
    changesMax: 5,
    deadLetters: async (_ref, rejected) => void letters.push(...rejected.map((one) => one.rejected)),
    failpoint: () => undefined,
  });
});

/** A replica in which every partition is claimed and nothing is applied. */
async function wipe(): Promise<void> {
  for await (const page of redis.admin.scan('*')) await redis.admin.delete(page);
  await redis.admin.setFields(keys.pipeline, { spec: 'rules' });
  const partitions = tableNames.flatMap((name) => [0, 1].map((partition) => [tableTopic('shop', name), partition] as const));
  for (const [name, partition] of [...partitions, ['shop.cdc.heartbeat', 0] as const]) await redis.admin.setFields(keys.owner(name, partition), { epoch: '1' });
}

const topic = tableTopic('shop', 'orders');
const aClaim = (claim: Partial<Claim> = {}): Claim => ({ topic, partition: 0, epoch: 1, spec: 'rules', offset: null, expect: null, ...claim });

async function configure(name: string, value: string): Promise<void> {
  const admin = new Redis({ host: '127.0.0.1', port: redis.port, password: redis.password.reveal() });
  await admin.config('SET', name, value);
  admin.disconnect();
}

async function everything(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for await (const page of redis.admin.scan('*')) {
    for (const key of page) found[key] = await readAny(key);
  }
  return found;
}

async function readAny(key: string): Promise<unknown> {
  const readers = [() => redis.admin.strings([key]), () => redis.admin.hash(key), () => redis.admin.sortedSets([key]), () => redis.admin.stream(key)];
  return Promise.all(readers.map((read) => read().catch(() => 'another type')));
}

test('any delivery through the real script leaves the replica of the final rows', async () => {
  await fc.assert(
    fc.asyncProperty(truncatedHistory(60), deliveries, async (shop, plan) => {
      await wipe();
      await deliverAll(processor, 'shop', shop, plan);
      await assertReplica(redis.store, keys, shop);
    }),
    { numRuns: 60 },
  );
});

test('a commit under another fence, epoch, rule set or table state changes nothing and says what is stored', async () => {
  const claim = aClaim();
  await processor.apply(claim, [aChange({ offset: 7 })]);
  const state = await everything();
  const next = [aChange({ op: 'u', offset: 8, after: anOrder({ total_amount: '99.00' }) })];
  assert.deepEqual(await processor.apply(aClaim({ offset: 5n }), next), { result: 'refused', cause: 'offset', stored: '8' });
  assert.deepEqual(await processor.apply(aClaim({ offset: 8n, epoch: 3 }), next), { result: 'refused', cause: 'epoch', stored: '1' });
  assert.deepEqual(await processor.apply(aClaim({ offset: 8n, spec: 'other' }), next), { result: 'refused', cause: 'spec', stored: 'rules' });
  const older = encodeCommit(keys, { expect: { fields: [], strings: [[keys.tableState('orders'), 'that of before a TRUNCATE']] }, strings: [[keys.offset(topic, 0), '9']] });
  assert.deepEqual(decodeReply(await redis.store.commit(older.keys, older.args)), { result: 'stale', key: keys.tableState('orders'), found: '' });
  assert.deepEqual(await everything(), state);
});

test('a sum that would leave int64 dead-letters the one event that cannot be added; its neighbours are applied', async () => {
  await redis.admin.setFields(keys.of('metrics:revenue'), { total_cents: '9223372036854775000' });
  const records = [1, 2, 3, 4].map((id) => aChange({ offset: id, after: anOrder({ id, total_amount: id === 3 ? '1000.00' : '1.00' }) }));
  assert.deepEqual(await processor.apply(aClaim(), records), { result: 'applied' });
  assert.deepEqual(letters.map(({ offset, reason, id }) => ({ offset, reason, id })), [{ offset: 3n, reason: 'sum_range', id: '3' }]);
  assert.deepEqual(await redis.store.hash(keys.of('metrics:revenue')), { 'total_cents': '9223372036854775300', 'cents:pending': '300' });
  const [one, three, parked, fence] = await redis.store.strings([keys.row('order', '1'), keys.row('order', '3'), keys.parked('orders', '3'), keys.offset(topic, 0)]);
  assert.ok(one);
  assert.equal(three, null);
  assert.deepEqual((await redis.store.sortedSets([keys.of('customer:1:orders')]))[0]?.filter((_, i) => i % 2 === 0), ['1', '2', '4']);
  assert.equal(parked, '-1');
  assert.equal(fence, '5');
  assert.deepEqual(pick(await redis.store.hash(keys.of('cdc:stats:orders')), ['c', 'dead']), { c: '4', dead: '1' });
});

test('a key that holds something foreign stops the partition with its name; nothing is written, nothing is dead-lettered', async () => {
  for (const [key, named] of [
    ['customer:1:orders', /customer:1:orders is a string/],
    ['metrics:revenue', /metrics:revenue is a string/],
    ['cdc:changes:orders', /cdc:changes:orders is a string/],
    ['order:1', /does not hold a row/],
  ] as const) {
    await wipe();
    await redis.admin.set(keys.of(key), 'foreign');
    await assert.rejects(processor.apply(aClaim(), [aChange({ offset: 1 })]), (error) => error instanceof PipelineError && error.action !== 'retry' && named.test(error.message));
    assert.deepEqual(await redis.store.strings([keys.offset(topic, 0), keys.statsTotal]), [null, null], key);
    const counted = await redis.store.hashes(['metrics:orders', 'cdc:stats:orders', 'metrics:orders:by_status'].map(keys.of));
    assert.deepEqual(counted.flatMap((fields) => Object.values(fields)).filter((amount) => amount !== '0'), [], key);
  }
  assert.deepEqual(letters, []);
});

test('a Redis that is out of memory loses no event: the commit fails as a whole and passes later', async () => {
  const state = await everything();
  await configure('maxmemory', '1');
  try {
    await assert.rejects(processor.apply(aClaim(), [aChange({ offset: 1 })]), (error) => error instanceof PipelineError && error.code === 'redis_out_of_memory' && error.action === 'retry');
  } finally {
    await configure('maxmemory', '0');
  }
  assert.deepEqual(letters, []);
  assert.deepEqual(await everything(), state);
  assert.deepEqual(await processor.apply(aClaim(), [aChange({ offset: 1 })]), { result: 'applied' });
});

test('what cannot be decoded is dead-lettered with its key parked from the last applied offset on, and the stream goes on', async () => {
  const records = [aChange({ offset: 1 }), aRecord({ offset: 2, value: '{' }), aRecord({ offset: 3, key: 'no json', value: '{}' }), aChange({ offset: 4, after: anOrder({ id: 2 }) })];
  assert.deepEqual(await processor.apply(aClaim(), records), { result: 'applied' });
  assert.deepEqual(letters.map(({ reason, id }) => [reason, id]), [['malformed_json', '1'], ['malformed_envelope', null]]);
  assert.deepEqual(await redis.store.strings([keys.parked('orders', '1'), keys.parkedMark('orders', '1'), keys.offset(topic, 0)]), ['1', '1:2:0', '5']);
  assert.deepEqual(pick(await redis.store.hash(keys.of('cdc:stats:orders')), ['c', 'dead']), { c: '2', dead: '2' });
});

test('a second dead letter parks the key at the image applied between', async () => {
  const claim = aClaim();
  await processor.apply(claim, [aChange({ offset: 1 }), aRecord({ offset: 2, value: '{' }), aChange({ op: 'u', offset: 3 })]);
  await processor.apply(claim, [aRecord({ offset: 4, value: '{' })]);
  assert.deepEqual(await redis.store.strings([keys.parked('orders', '1'), keys.parkedMark('orders', '1')]), ['3', '3:4:0']);
});

test('a delete that comes after a dead letter has moved past it: the key remembers the delete, and no replay is applied any more', async () => {
  await processor.apply(aClaim(), [aChange({ offset: 1 }), aRecord({ offset: 2, value: '{' }), aChange({ op: 'd', before: anOrder(), offset: 3 })]);
  assert.deepEqual(await redis.store.strings([keys.parked('orders', '1'), keys.parkedMark('orders', '1'), keys.row('order', '1')]), ['3', null, null]);
});

test('a heartbeat is stored with its provenance and counted nowhere', async () => {
  const record: SourceRecord = aChange({ table: 'heartbeat', op: 'u', after: { id: 1, ts: '2026-11-22T10:00:00Z' }, offset: 9, lsn: 77 });
  assert.deepEqual(await processor.apply(aClaim({ topic: 'shop.cdc.heartbeat' }), [record]), { result: 'applied' });
  const [text, total] = await redis.store.strings([keys.heartbeat, keys.statsTotal]);
  assert.deepEqual(pick(JSON.parse(text!) as Record<string, unknown>, ['ts', '_offset', '_lsn']), { ts: '2026-11-22T10:00:00Z', _offset: 9, _lsn: '77' });
  assert.equal(total, null);
});

test('integers beyond 2^53 reach the row digit for digit', async () => {
  const record = aChange({ offset: 1 });
  record.value = Buffer.from(record.value!.toString().replace('"shipping_address":null', '"shipping_address":null,"big":9223372036854775807'));
  await processor.apply(aClaim(), [record]);
  assert.match((await redis.store.strings([keys.row('order', '1')]))[0]!, /"big":9223372036854775807,/);
});

test('the last changes are told newest last, and no more than the cap', async () => {
  await processor.apply(aClaim(), Array.from({ length: 9 }, (_, i) => aChange({ offset: i, after: anOrder({ id: i + 1 }) })));
  const entries = await redis.admin.stream(keys.changes('orders'));
  assert.deepEqual(entries.map(({ op, key, offset }) => [op, key, offset]), [4, 5, 6, 7, 8].map((i) => ['c', `order:${i + 1}`, String(i)]));
});

function pick<T extends object>(value: T, fields: (keyof T)[]): Partial<T> {
  return Object.fromEntries(fields.map((field) => [field, value[field]])) as Partial<T>;
}
