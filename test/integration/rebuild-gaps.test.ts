/**
 * Goal: a topic that was made anew, which no consumer has claimed since, is neither read as a table's history nor taken for applied.
 * Method: the activities over a real Redis; the topic's ends are given by hand, since the pipeline's own claims it within a second.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createRebuildActivities } from '../../src/activities/rebuild.ts';
import { createRebuildStatusActivities, scopes, sweptAs } from '../../src/activities/rebuild-status.ts';
import type { RowChange } from '../../src/domain/change-event.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { formatMark } from '../../src/domain/parked.ts';
import { formatStoredRow } from '../../src/domain/stored-row.ts';
import { tableTopic } from '../../src/domain/topics.ts';
import { createReplicaStatus } from '../../src/replica/status.ts';
import { raiseGeneration } from '../../src/replica/table-state.ts';
import { startRedis, type TestRedis } from '../redis.ts';

const keys = createKeys('{test}:');
const topic = tableTopic('shop', 'orders');
let redis: TestRedis;
let highs: bigint[] = [];
before(async () => {
  redis = await startRedis('{test}:');
});
after(() => redis.stop());
beforeEach(async () => {
  for await (const page of redis.admin.scan('*')) await redis.admin.delete(page);
});

/** Ends of the topic at each time they are asked for; the last of them from then on. */
const offsets = async () => [{ partition: 0, low: 0n, high: (highs.length > 1 ? highs.shift() : highs[0])! }];
const db = { query: async () => [] };
const deps = () => ({ redis: redis.store, keys, admin: { offsets } as never, db, topicPrefix: 'shop', latenessMs: 0 });
const aChangeOf = (): RowChange => ({ offset: 1n, lsn: '5', commitMs: 0, contributions: { counters: [], members: [] } }) as unknown as RowChange;
const setFence = (fence: number): Promise<unknown> => redis.admin.set(keys.offset(topic, 0), String(fence));
const plan = () => createRebuildStatusActivities(deps()).planRebuild(['orders'], 'topic');
const left = () => createRebuildActivities(deps()).waitApplied([{ topic, partition: 0, high: '1000' }]);

test('a topic that ends before its fence is not read as the history', async () => {
  await setFence(1000);
  highs = [5n];
  const { mode, note } = await plan();
  assert.equal(mode, 'snapshot');
  assert.match(note, /another than was read \(partition 0: the fence is 1000, but the topic ends at 5/);
});

test('a fence that goes on while it is looked at is beyond no end', async () => {
  await setFence(1010);
  highs = [1000n, 1000n, 1020n];
  assert.deepEqual(await plan(), { mode: 'topic', note: '' });
});

test('what was noted is not applied before the claim has started the new topic over', async () => {
  highs = [5n];
  await setFence(1000);
  assert.equal(await left(), 1);
  await setFence(0);
  assert.equal(await left(), 5);
  await setFence(5);
  assert.equal(await left(), 0);
});

test('a re-reading is over only where what it has left behind the sweep stands in Redis', async () => {
  const status = createReplicaStatus(redis.store, keys);
  const { announceRebuild, finishRebuild } = createRebuildStatusActivities(deps());
  const finish = () => finishRebuild({ cursor: '0', tables: [{ table: 'orders', generation: 1, mark: '0', columns: '', cut: '' }] }, 'snapshot', 'run');
  await announceRebuild(['orders'], 'a test');
  assert.equal(await finish(), true, 'a generation that Redis does not know');
  await raiseGeneration(redis.store, keys, 'orders');
  assert.equal(await finish(), true, 'as when Redis has gone back behind the sweep');
  assert.deepEqual((await status.conditions()).map(({ why }) => why), ['a test']);
  await status.set('orders', 'rebuilding', scopes.rebuild, sweptAs('run'));
  assert.equal(await finish(), false);
  assert.deepEqual(await status.conditions(), []);
});

test('a cancelled re-reading that leaves letters whose replay would have no effect is told', async () => {
  const status = createReplicaStatus(redis.store, keys);
  const abandon = () => createRebuildStatusActivities(deps()).abandonRebuild(['orders'], '');
  await redis.admin.set(keys.parkedMark('orders', '7'), formatMark({ floor: 1n, last: 2n, generation: 0 }));
  await abandon();
  assert.deepEqual(await status.conditions(), [], 'cancelled before it had begun');
  await raiseGeneration(redis.store, keys, 'orders');
  await redis.admin.set(keys.row('order', '7'), formatStoredRow(aChangeOf(), '{"id":7}', 1));
  await abandon();
  assert.deepEqual(await status.conditions(), [], 'the row was read again');
  await redis.admin.set(keys.row('order', '7'), formatStoredRow(aChangeOf(), '{"id":7}', 0));
  await abandon();
  assert.deepEqual((await status.conditions()).map(({ state, why }) => `${state}: ${why}`), ['halted: its re-reading was cancelled: run sluice resync orders']);
});

test('a cut that is told while a rebuild ends is the next rebuild’s', async () => {
  const status = createReplicaStatus(redis.store, keys);
  const finish = (cut: string) => createRebuildStatusActivities(deps()).finishRebuild({ cursor: '0', tables: [{ table: 'orders', generation: 1, mark: '0', columns: '', cut }] }, 'snapshot', 'run');
  await raiseGeneration(redis.store, keys, 'orders');
  await status.set('orders', 'rebuilding', 'cut', 'the second');
  for (const earlier of ['', 'the first']) await finish(earlier);
  assert.deepEqual((await status.conditions()).map(({ why }) => why), ['the second']);
  await finish('the second');
  assert.deepEqual(await status.conditions(), []);
});
