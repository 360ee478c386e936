/**
 * Starts a table over from the beginning of its topic: a new generation, no fence, event counters at zero, all in one commit.
 * Invariant: rows stay until their topic has been read again; what is then of an older generation is for a sweep.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { names, type Keys } from '../domain/keys.ts';
import type { TableState } from '../domain/table-state.ts';
import type { PartitionRef } from '../domain/topics.ts';
import type { Commit } from './commit.ts';
import { changeTogether, nextGeneration } from './table-state.ts';

const ops = ['c', 'u', 'd', 'r', 't'];
const rowEvents = ['created', 'updated', 'deleted'];

/** `partitions`: all of the table's topic. Consumers notice the missing fences within a second and read on from the log's start. */
export async function rewindTable(redis: RedisStore, keys: Keys, partitions: PartitionRef[], table: string): Promise<TableState> {
  for (const pattern of [keys.parkedMark(table, '*'), keys.parked(table, '*')]) for await (const page of redis.scan(pattern)) await redis.delete(page);
  const stats = keys.of(names.stats(table));
  const live = keys.of(names.live(table));
  for (;;) {
    const [counted = {}, rows = {}] = await redis.hashes([stats, live]);
    const [total] = await redis.strings([keys.statsTotal]);
    const events = ops.reduce((sum, op) => sum + BigInt(counted[op] ?? 0), 0n);
    const forget: Commit = {
      expect: {
        fields: [
          ...[...ops, 'dead'].map((op): [string, string, string] => [stats, op, counted[op] ?? '']),
          ...rowEvents.map((field): [string, string, string] => [live, field, rows[field] ?? '']),
        ],
        strings: [[keys.statsTotal, total ?? '']],
      },
      strings: [[keys.statsTotal, String(BigInt(total ?? 0) - events)]],
      removed: [stats, ...partitions.map(({ topic, partition }) => keys.offset(topic, partition))],
      fields: rowEvents.map((field) => [live, field, '0']),
    };
    const state = await changeTogether(redis, keys, table, nextGeneration, forget);
    if (state !== null) return state;
  }
}
