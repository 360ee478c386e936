/** Redis against what a history must leave in it, worked out without the engine. */
import assert from 'node:assert/strict';
import type { RedisStore } from '../src/adapters/redis.ts';
import type { Keys } from '../src/domain/keys.ts';
import { tables } from '../src/domain/tables/registry.ts';
import { expectedReplica, tableNames, totalEvents, type History } from './shop-stream.ts';

export async function assertReplica(redis: RedisStore, keys: Keys, shop: History): Promise<void> {
  const expected = expectedReplica(shop);
  const ids = [1, 2, 3, 4, 5, 6];
  for (const { entity } of tables) {
    const texts = await redis.strings(ids.map((id) => keys.row(entity, String(id))));
    for (const [i, text] of texts.entries()) {
      const columns = text === null ? undefined : Object.fromEntries(Object.entries(JSON.parse(text) as object).filter(([name]) => !name.startsWith('_')));
      assert.deepEqual(columns, expected.rows.get(`${entity}:${ids[i]}`));
    }
  }
  const hashes = [
    ...tableNames.flatMap((name) => [`metrics:${name}`, `cdc:stats:${name}`]),
    ...['metrics:revenue', 'metrics:orders:by_status', 'metrics:customers:by_state', 'metrics:products:by_category', 'metrics:product:1', 'metrics:product:2'],
  ];
  const stored = await redis.hashes(hashes.map(keys.of));
  for (const [i, hash] of hashes.entries()) {
    const counters = Object.entries(stored[i]!).filter(([field, value]) => value !== '0' && !field.startsWith('last_'));
    assert.deepEqual(Object.fromEntries(counters), Object.fromEntries(expected.counters.get(hash) ?? []), hash);
  }
  for (const zset of ['customer:1:orders', 'customer:2:orders']) {
    const [flat = []] = await redis.sortedSets([keys.of(zset)]);
    const members = Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], Number(flat[2 * i + 1])]));
    assert.deepEqual(members, Object.fromEntries(expected.members.get(zset) ?? []));
  }
  assert.equal(Number((await redis.strings([keys.statsTotal]))[0] ?? 0), totalEvents(shop));
}
