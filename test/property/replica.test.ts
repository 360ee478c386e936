/**
 * Goal: whatever way a topic is delivered (split, repeated, interleaved, cut by crashes, overtaken by another owner),
 * the replica equals the one worked out from the final rows. Method: random histories and random deliveries through the
 * pure engine over a store in memory that does what the commit script does: fence first, then everything.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { add, type Amount } from '../../src/domain/amount.ts';
import { decodeTableEvent, type SourceRecord } from '../../src/domain/change-event.ts';
import { foldBatch, type WritePlan } from '../../src/domain/fold.ts';
import { parseStoredRow } from '../../src/domain/stored-row.ts';
import { tables } from '../../src/domain/tables/registry.ts';
import { rowsTouched } from '../builders.ts';
import { deliveries, expectedReplica, history, totalEvents, type Delivery, type History } from '../shop-stream.ts';

class MemoryReplica {
  rows = new Map<string, string>();
  counters = new Map<string, Map<string, Amount>>();
  members = new Map<string, Map<string, number>>();
  fences = new Map<string, bigint>();
  total = 0;

  read(partition: string, records: SourceRecord[]): WritePlan {
    const table = tables.find(({ name }) => name === partition.slice(0, partition.lastIndexOf('-')))!;
    const events = records.map((record) => decodeTableEvent(table, record));
    const stored = new Map(rowsTouched(table, events).flatMap((name) => (this.rows.has(name) ? [[name, parseStoredRow(this.rows.get(name)!)]] : [])));
    return foldBatch({ table, state: { generation: 0, mark: '0' }, events, marks: new Map(), stored, changesMax: 10 });
  }

  commit(partition: string, fence: bigint | undefined, next: bigint, plan: WritePlan): boolean {
    if (this.fences.get(partition) !== fence) return false;
    this.fences.set(partition, next);
    this.total += plan.eventCount;
    for (const [name, text] of plan.rows) this.rows.set(name, text);
    for (const name of plan.deletes) this.rows.delete(name);
    for (const [hash, fields] of plan.counters) {
      const stored = this.counters.get(hash) ?? new Map<string, Amount>();
      for (const [field, amount] of fields) stored.set(field, add(stored.get(field) ?? 0, amount));
      this.counters.set(hash, stored);
    }
    for (const [zset, members] of plan.members) {
      const stored = this.members.get(zset) ?? new Map<string, number>();
      for (const [member, { before, after }] of members) {
        assert.equal(stored.get(member) ?? null, before, 'a refused commit would put back what was there');
        after === null ? stored.delete(member) : stored.set(member, after);
      }
      this.members.set(zset, stored);
    }
    return true;
  }

  /** One owner's turn: re-reads a little, folds what is past the fence, and meets its fate. */
  deliver(history: History, { partition: pick, back, size, fate }: Delivery): void {
    const [partition, records] = [...history.log][pick % history.log.size]!;
    const fence = this.fences.get(partition);
    const next = records.findIndex(({ offset }) => offset >= (fence ?? 0n));
    if (next === -1) return;
    const fresh = records.slice(Math.max(0, next - back), next + size).filter(({ offset }) => offset >= (fence ?? 0n));
    const plan = this.read(partition, fresh);
    if (fate === 'crash') return;
    const after = fresh.at(-1)!.offset + 1n;
    assert.equal(this.commit(partition, fence, after, plan), true);
    if (fate === 'zombie') assert.equal(this.commit(partition, fence, after, plan), false, 'the overtaken owner is refused');
  }

  drain(history: History): void {
    for (const pick of [...history.log.keys()].keys()) this.deliver(history, { partition: pick, back: 0, size: Infinity, fate: 'commit' });
  }
}

const plain = (map: Map<string, Map<string, unknown>>): object =>
  Object.fromEntries(
    [...map]
      .map(([name, inner]) => [name, Object.fromEntries([...inner].filter(([, value]) => value !== 0 && value !== '0').map(([k, v]) => [k, String(v)]))] as const)
      .filter(([, inner]) => Object.keys(inner).length > 0),
  );
const columns = (text: string): object => Object.fromEntries(Object.entries(JSON.parse(text) as object).filter(([name]) => !name.startsWith('_')));

function assertEqualsReference(replica: MemoryReplica, shop: History): void {
  const expected = expectedReplica(shop);
  assert.deepEqual(Object.fromEntries([...replica.rows].map(([name, text]) => [name, columns(text)])), Object.fromEntries(expected.rows));
  assert.deepEqual(plain(replica.counters), plain(expected.counters));
  assert.deepEqual(
    Object.fromEntries([...replica.members].filter(([, inner]) => inner.size > 0).map(([name, inner]) => [name, Object.fromEntries(inner)])),
    Object.fromEntries([...expected.members].map(([name, inner]) => [name, Object.fromEntries(inner)])),
  );
  assert.equal(replica.total, totalEvents(shop));
}

test('any delivery of a topic leaves the replica of its final rows, and counts each event once', () => {
  fc.assert(
    fc.property(history(80), deliveries, (shop, plan) => {
      const replica = new MemoryReplica();
      for (const delivery of plan) replica.deliver(shop, delivery);
      replica.drain(shop);
      assertEqualsReference(replica, shop);
    }),
    { numRuns: 300 },
  );
});

test('an event that is not newer than the stored row changes neither row nor counters', () => {
  fc.assert(
    fc.property(history(60), (shop) => {
      const replica = new MemoryReplica();
      replica.drain(shop);
      const rows = new Map(replica.rows);
      for (const [partition, records] of shop.log) {
        const stale = records.filter((record) => {
          const id = JSON.parse(record.key!.toString()).id as number;
          return [...rows.keys()].some((name) => name.endsWith(`:${id}`) && partition.startsWith(`${tables.find(({ entity }) => name.startsWith(`${entity}:`))!.name}-`));
        });
        const plan = replica.read(partition, stale);
        assert.equal(plan.rows.size, 0);
        assert.equal(plan.deletes.size, 0);
        assert.deepEqual([...plan.counters].flatMap(([hash, fields]) => (hash.startsWith('metrics:revenue') || hash.includes(':by_') ? [...fields] : [])), []);
      }
    }),
    { numRuns: 100 },
  );
});
