/**
 * Goal: taking over a partition shuts out its earlier owner, and a prefix belongs to one pipeline.
 * Method: claims on a real Redis; the topic's bounds are given by hand, since a topic cannot be cut on demand.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { claimPartitions, type ClaimContext, type ClaimResult } from '../../src/consumers/claim.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { readTableState } from '../../src/replica/table-state.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys, streamKeys } from '../../src/domain/keys.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const keys = createKeys('');
const ref = { topic: 'shop.public.orders', partition: 0 };
let redis: TestRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis.stop());
beforeEach(async () => {
  for await (const page of redis.admin.scan('*')) await redis.admin.delete(page);
});

const context = (changes: Partial<ClaimContext> = {}, low = 0n, high = 100n): ClaimContext => ({
  redis: redis.store,
  admin: { offsets: async () => [{ partition: 0, low, high }] },
  keys,
  spec: 'rules-1',
  status: createReplicaStatus(redis.store, keys),
  tables: ['customers', 'orders'],
  tableOf: (topic) => topic.split('.').at(-1)!,
  identity: { system: '1', slot: 'sluice', cluster: 'k', prefix: 'shop' },
  ...changes,
});
const claim = async (of: ClaimContext): Promise<ClaimResult> => (await claimPartitions(of, [ref], () => true))[0]!;
const epoch = (result: ClaimResult): number => ('claim' in result ? result.claim.epoch : assert.fail(JSON.stringify(result)));

test('each claim has a larger epoch than the one before', async () => {
  const first = epoch(await claim(context()));
  assert.ok(epoch(await claim(context())) > first);
});

test('a claim whose assignment is over raises no epoch', async () => {
  const first = epoch(await claim(context()));
  assert.deepEqual(await claimPartitions(context(), [ref], () => false), []);
  assert.equal((await redis.store.hash(keys.owner(ref.topic, 0)))['epoch'], String(first));
});

test('a claim starts at the record before the fence and knows what to expect there', async () => {
  await redis.store.set(keys.offset(ref.topic, 0), '42');
  await redis.store.setFields(keys.owner(ref.topic, 0), { last: 'print' });
  const result = await claim(context());
  assert.ok('claim' in result);
  assert.equal(result.start, 41n);
  assert.equal(result.claim.expect, 'print');
  assert.equal(result.claim.offset, 42n);
});

test('a topic that lost unread changes is read from its start under a new generation, and its table is told to be read again', async () => {
  await redis.store.set(keys.offset(ref.topic, 0), '42');
  await redis.store.setFields(keys.owner(ref.topic, 0), { last: 'print' });
  const result = await claim(context({}, 50n));
  assert.ok('claim' in result);
  assert.deepEqual([result.start, result.claim.offset, result.claim.expect], [50n, 50n, null]);
  assert.deepEqual(await redis.store.strings([keys.offset(ref.topic, 0)]), ['50']);
  assert.equal((await readTableState(redis.store, keys, 'orders')).generation, 1);
  const state = await redis.store.hash(keys.status);
  assert.equal(state['orders'], 'rebuilding');
  assert.match(state['orders:why']!, /deleted unread/);
  const again = await claim(context({}, 50n));
  assert.ok('claim' in again, 'the next claim sees no gap');
  assert.equal((await readTableState(redis.store, keys, 'orders')).generation, 1);
});

test('a topic whose partition count changed is halted, whichever partition is claimed', async () => {
  await claim(context());
  const two = [{ partition: 0, low: 0n, high: 9n }, { partition: 1, low: 0n, high: 9n }];
  const result = await claim(context({ admin: { offsets: async () => two } }));
  assert.match('halt' in result ? result.halt : '', /has 2 partitions, the replica was made from 1/);
});

test('what was told of partitions that a topic does not have any more is taken back, by whoever told it', async () => {
  const replica = createReplicaStatus(redis.store, keys);
  const beside = createReplicaStatus(redis.store, keys, 'sluice-stream');
  for (const status of [replica, beside]) for (const n of [0, 1, 10]) await status.set('orders', 'halted', `${ref.topic}-${n}`, 'it had more');
  await replica.set('orders', 'sweeping', `${ref.topic}-2`, 'TRUNCATE');
  await claim(context());
  await claim(context({ status: beside }));
  assert.deepEqual((await replica.conditions()).map(({ scope }) => scope).sort(), [`${ref.topic}-0`, `sluice-stream ${ref.topic}-0`].sort());
});

test('a partition that is gone is told apart from those that are there, which are claimed', async () => {
  const missing = { ...ref, partition: 1 };
  const [there, gone] = await claimPartitions(context(), [ref, missing], () => true);
  assert.ok(there && 'claim' in there);
  assert.deepEqual(gone, { ref: missing, gone: true });
});

test('another pipeline on the same prefix, and older rules over the same rows, are refused', async () => {
  await claim(context());
  const refused = (code: string) => (error: unknown) => error instanceof PipelineError && error.code === code;
  await assert.rejects(claim(context({ identity: { system: '2', slot: 'sluice', cluster: 'k', prefix: 'shop' } })), refused('identity_mismatch'));
  for (const spec of ['rules-0', 'others-2', 'rules']) await assert.rejects(claim(context({ spec })), refused('spec_changed'), spec);
});

test('newer rules take over: every table is told to be read again before the older ones are shut out', async () => {
  await claim(context());
  await claim(context({ spec: 'rules-2' }));
  assert.equal((await redis.store.hash(keys.pipeline))['spec'], 'rules-2');
  const told = await createReplicaStatus(redis.store, keys).conditions();
  assert.deepEqual(told.map(({ table, state, scope }) => `${table} ${state} ${scope}`).sort(), ['customers rebuilding cut', 'orders rebuilding cut']);
  await assert.rejects(claim(context()), (error) => error instanceof PipelineError && error.code === 'spec_changed');
});

test('what a processor beside the replica finds is told of the table as well, and neither takes back what the other has told', async () => {
  const stream = streamKeys(keys);
  const status = createReplicaStatus(redis.store, keys);
  const beside = context({ keys: stream, status: createReplicaStatus(redis.store, stream, 'sluice-stream') });
  await redis.store.set(stream.offset(ref.topic, 0), '42');
  await claim({ ...beside, admin: { offsets: async () => [{ partition: 0, low: 50n, high: 100n }] } });
  const told = await redis.store.hash(keys.status);
  assert.equal(told['orders'], 'rebuilding', 'the supervisor reads it again');
  assert.match(told['orders:why']!, /^sluice-stream: .*deleted unread/);
  assert.equal((await readTableState(redis.store, keys, 'orders')).generation, 0, 'the replica has lost nothing');
  await status.clear('orders', 'rebuilding', 'cut');
  await status.set('orders', 'halted', 'shop.public.orders-0', 'of the replica');
  await beside.status.set('orders', 'halted', 'shop.public.orders-0', 'of the stream');
  await beside.status.clear('orders', 'halted', 'shop.public.orders-0');
  assert.deepEqual((await status.conditions()).map(({ why }) => why), ['of the replica']);
});

test('a table is told in its gravest condition, whoever set it', async () => {
  const status = createReplicaStatus(redis.store, keys);
  const state = () => redis.store.hash(keys.status);
  await status.set('orders', 'drift', 'schema', 'column x was added');
  await status.set('orders', 'halted', 'shop.public.orders-0', 'cut');
  await status.set('order_items', 'sweeping', 'shop.public.order_items-1', 'TRUNCATE');
  assert.deepEqual(await state(), { 'orders': 'halted', 'orders:why': 'cut', 'order_items': 'sweeping', 'order_items:why': 'TRUNCATE' });
  await status.clear('orders', 'halted', 'shop.public.orders-1');
  assert.equal((await state())['orders'], 'halted');
  await status.clear('orders', 'halted', 'shop.public.orders-0');
  assert.equal((await state())['orders:why'], 'column x was added');
  await status.clear('orders', 'drift', 'schema');
  assert.deepEqual(await state(), { 'orders': 'running', 'order_items': 'sweeping', 'order_items:why': 'TRUNCATE' });
  assert.deepEqual(await status.conditions(), [{ table: 'order_items', state: 'sweeping', scope: 'shop.public.order_items-1', why: 'TRUNCATE' }]);
});
