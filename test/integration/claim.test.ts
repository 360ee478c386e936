/**
 * Goal: taking over a partition shuts out its earlier owner, and a prefix belongs to one pipeline.
 * Method: claims on a real Redis; the topic's bounds are given by hand, since a topic cannot be cut on demand.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { claimPartitions, type ClaimContext, type ClaimResult } from '../../src/consumers/claim.ts';
import { createReplicaStatus } from '../../src/consumers/status.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
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
  identity: { system: '1', slot: 'sluice', cluster: 'k', prefix: 'shop' },
  ...changes,
});
const claim = async (of: ClaimContext): Promise<ClaimResult> => (await claimPartitions(of, [ref], () => true))[0]!;
const epoch = (result: ClaimResult): number => ('claim' in result ? result.claim.epoch : assert.fail(result.halt));

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

test('a topic that lost unread changes is not claimed, and says why', async () => {
  await redis.store.set(keys.offset(ref.topic, 0), '42');
  const result = await claim(context({}, 50n));
  assert.ok('halt' in result);
  assert.match(result.halt, /deleted unread/);
});

test('another pipeline on the same prefix, and other rules over the same rows, are refused', async () => {
  await claim(context());
  const refused = (code: string) => (error: unknown) => error instanceof PipelineError && error.code === code;
  await assert.rejects(claim(context({ identity: { system: '2', slot: 'sluice', cluster: 'k', prefix: 'shop' } })), refused('identity_mismatch'));
  await assert.rejects(claim(context({ spec: 'rules-2' })), refused('spec_changed'));
});

test('a table stays halted while any of its partitions is, whoever claims the others', async () => {
  const status = createReplicaStatus(redis.store, keys, () => 'orders');
  const state = () => redis.store.hash(keys.status);
  await status.halted(ref, 'cut');
  await status.running([{ ...ref, partition: 1 }]);
  assert.deepEqual(await state(), { 'orders': 'halted', 'orders:why': 'cut' });
  await status.running([ref]);
  assert.deepEqual(await state(), { orders: 'running' });
});
