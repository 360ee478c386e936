/**
 * Rebuilding tables, the replica's side: generations, ends, and sweeps.
 * Invariant: every activity may be repeated, and half done is as good as not done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { streamKeys, type Keys } from '../domain/keys.ts';
import { streamTables } from '../domain/stream/tables.ts';
import { tendWindows } from '../domain/stream/upkeep.ts';
import type { WritePlan } from '../domain/fold.ts';
import type { ParkedMark } from '../domain/parked.ts';
import type { StoredRow } from '../domain/stored-row.ts';
import type { Upkeep } from '../domain/upkeep.ts';
import type { TableState } from '../domain/table-state.ts';
import { tables as replicated } from '../domain/tables/registry.ts';
import type { Table } from '../domain/tables/table.ts';
import { notificationTopic, tableTopic } from '../domain/topics.ts';
import { readColumns, whyUnreadable } from '../replica/columns.ts';
import { findGaps } from '../replica/fence.ts';
import { lagBehind, lowerEnds, readEnds, type PartitionEnd } from '../replica/lag.ts';
import { rewindTable } from '../replica/rewind.ts';
import { createReplicaStatus, type ReplicaStatus } from '../replica/status.ts';
import { GenerationLost, sweepTable, type SweepCounts } from '../replica/sweep.ts';
import { isForgotten, raiseGeneration, readTableState } from '../replica/table-state.ts';
import type { NotedEnd, RebuildActivities, Round, RoundTable } from '../workflows/contract.ts';
import { scopes, sweptAs, whyCut } from './rebuild-status.ts';
import { whileBeating } from './while-beating.ts';

export interface RebuildDeps {
  redis: RedisStore;
  keys: Keys;
  admin: KafkaAdmin;
  /** The source, reading only. */
  db: Queryable;
  topicPrefix: string;
  /** Of the stream. */
  latenessMs: number;
}

type ReplicaSide = Pick<RebuildActivities, 'rewindTables' | 'beginRound' | 'noteEnds' | 'waitApplied' | 'isUndisturbed' | 'sweepOlder'>;

const sliceMs = 4000;
const pollMs = 100;

export function createRebuildActivities({ redis, keys, admin, db, topicPrefix, latenessMs }: RebuildDeps): ReplicaSide {
  const status = createReplicaStatus(redis, keys);
  const stream = streamKeys(keys);
  /** Once a stream consumer has claimed this prefix, it reads its tables again when they are read again, and is waited for. */
  const streamed = async (): Promise<string[]> => ((await redis.hash(stream.pipeline))['spec'] === undefined ? [] : streamTables.map(({ name }) => name));
  const topicOf = (table: string): string => tableTopic(topicPrefix, table);

  const noteEnds = async (tables: string[]): Promise<NotedEnd[]> =>
    (await readEnds({ admin, topics: tables.map(topicOf) })).map(({ topic, partition, high }) => ({ topic, partition, high: String(high) }));

  /** A topic that was made anew ends before what was noted, and is not applied before its claim has started it over. */
  const countLeft = async (side: Keys, ends: PartitionEnd[]): Promise<number> => {
    const lags = await lagBehind({ redis, keys: side }, ends);
    const left = lags.reduce((sum, { events }) => sum + events, 0);
    return left || (await findGaps({ admin, redis, keys: side, topics: topicsOf(ends) })).length;
  };

  /** Notes what there is, then makes the new generations by `raise`. */
  const begin = async (tables: string[], raise: (table: string) => Promise<TableState>): Promise<Round> => {
    const columns = await readColumns(db, tables);
    const [end] = await admin.offsets(notificationTopic(topicPrefix));
    const round: Round = { cursor: String(end?.high ?? 0n), tables: [] };
    for (const table of tables) {
      const cut = await whyCut(status, table);
      const { generation, mark } = await raise(table);
      round.tables.push({ table, generation, mark, columns: columns[table] ?? '', cut });
    }
    return round;
  };

  return {
    rewindTables: (tables) =>
      whileBeating(async () => {
        const ends = await noteEnds(tables);
        const refs = (table: string) => ends.filter(({ topic }) => topic === topicOf(table)).map(({ topic, partition }) => ({ topic, partition }));
        return { ends, round: await begin(tables, (table) => rewindTable(redis, keys, refs(table), table)) };
      }),
    beginRound: async (tables, anew = false) => {
      const round = await begin(tables, (table) => raiseGeneration(redis, keys, table, anew));
      const ofStream = await streamed();
      for (const one of round.tables) if (ofStream.includes(one.table)) one.stream = (await raiseGeneration(redis, stream, one.table, anew)).generation;
      return round;
    },
    noteEnds,
    waitApplied: async (ends) => {
      const noted = ends.map((end) => ({ ...end, high: BigInt(end.high) }));
      const there = lowerEnds(noted, await readEnds({ admin, topics: topicsOf(noted) }));
      for (const deadlineMs = Date.now() + sliceMs; ; await delay(pollMs)) {
        const topics = (await streamed()).map(topicOf);
        const left = (await countLeft(keys, there)) + (await countLeft(stream, there.filter(({ topic }) => topics.includes(topic))));
        if (left === 0 || Date.now() > deadlineMs) return left;
      }
    },
    isUndisturbed: async ({ tables }) => {
      const columns = await readColumns(db, tables.map(({ table }) => table));
      const states = await Promise.all(tables.map(({ table }) => readTableState(redis, keys, table)));
      return tables.every((then, i) => states[i]!.generation === then.generation && states[i]!.mark === then.mark && !isAltered(then, columns[then.table]));
    },
    sweepOlder: (round, token) => whileBeating((tell) => sweepOlder({ redis, keys, stream, latenessMs, status, tell }, round, token)),
  };
}

const topicsOf = (ends: PartitionEnd[]): string[] => [...new Set(ends.map(({ topic }) => topic))];

interface Sweeper extends Pick<RebuildDeps, 'redis' | 'keys' | 'latenessMs'> {
  stream: Keys;
  status: ReplicaStatus;
  tell: (progress: unknown) => void;
}

/** Null when Redis has forgotten the round. What it has forgotten when its process ended meanwhile is swept once more. */
async function sweepOlder(sweeper: Sweeper, round: Round, token: string): Promise<number | null> {
  const { redis, status } = sweeper;
  try {
    for (let swept = 0; ; ) {
      const processes = await redis.processes();
      swept += await sweepTables(sweeper, round);
      Context.current().cancellationSignal.throwIfAborted();
      for (const { table } of round.tables) await status.set(table, 'rebuilding', scopes.rebuild, sweptAs(token));
      if (await isRoundForgotten(sweeper, round)) return null; // where no row was left, none was looked at
      if ((await redis.processes()) === processes) return Context.current().info.attempt > 1 ? Math.max(1, swept) : swept; // what an earlier attempt has removed is not known
    }
  } catch (error) {
    if (error instanceof GenerationLost) return null;
    throw error;
  }
}

async function isRoundForgotten({ redis, keys, stream }: Sweeper, { tables }: Round): Promise<boolean> {
  for (const { table, generation, stream: ofStream = 0 } of tables) if ((await isForgotten(redis, keys, table, generation)) || (await isForgotten(redis, stream, table, ofStream))) return true;
  return false;
}

/** A row whose image was rejected when it was read again keeps the one it has. The stream's memory is swept after the replica, and not counted. */
async function sweepTables({ redis, keys, stream, latenessMs, tell }: Sweeper, { tables }: Round): Promise<number> {
  const { cancellationSignal: signal } = Context.current();
  const olderThan = (table: string, generation: number) => ({ redis, signal, atLeast: generation, isStale: ({ version }: StoredRow) => version.generation < generation, isSpared: (mark: ParkedMark) => mark.generation >= generation, onProgress: (done: SweepCounts) => tell({ table, ...done }) });
  const tend = (plan: WritePlan): Upkeep => tendWindows(plan, { nowMs: Date.now(), latenessMs });
  let swept = 0;
  for (const { table, generation, stream: streamGeneration } of tables) {
    swept += (await sweepTable({ ...olderThan(table, generation), keys, table: definitionOf(table) })).swept;
    if (streamGeneration !== undefined) await sweepTable({ ...olderThan(table, streamGeneration), keys: stream, table: streamTables.find(({ name }) => name === table)!, tend });
  }
  return swept;
}

const definitionOf = (name: string): Table => replicated.find((table) => table.name === name)!;

/** A table that cannot be counted now gains nothing by being read once more. */
const isAltered = ({ table, columns }: RoundTable, now: string | undefined): boolean =>
  now !== undefined && now !== columns && !whyUnreadable(definitionOf(table), now);
