/**
 * What is told of a rebuild in `cdc:status`, and whether it can work at all.
 * Invariant: what needed a rebuild is taken back only by one that ended well; one that did not end says what to do.
 */
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { parseMark } from '../domain/parked.ts';
import { parseStoredRow } from '../domain/stored-row.ts';
import { tables as replicated } from '../domain/tables/registry.ts';
import { tableTopic } from '../domain/topics.ts';
import { readColumns, whyUnreadable } from '../replica/columns.ts';
import { findGaps } from '../replica/fence.ts';
import { readEnds } from '../replica/lag.ts';
import { createReplicaStatus, type ReplicaStatus } from '../replica/status.ts';
import { isForgotten, readTableState } from '../replica/table-state.ts';
import type { RebuildActivities } from '../workflows/contract.ts';

export interface RebuildStatusDeps {
  redis: RedisStore;
  keys: Keys;
  admin: Pick<KafkaAdmin, 'offsets'>;
  /** The source, reading only. */
  db: Queryable;
  topicPrefix: string;
}

/** What a condition is about: a rebuild, a topic without its history, the slot, changed columns, the connector. */
export const scopes = { rebuild: 'rebuild', cut: 'cut', slot: 'slot', columns: 'columns', connector: 'connector' } as const;

type StatusSide = Pick<RebuildActivities, 'planRebuild' | 'announceRebuild' | 'finishRebuild' | 'abandonRebuild'>;

export function createRebuildStatusActivities({ redis, keys, admin, db, topicPrefix }: RebuildStatusDeps): StatusSide {
  const status = createReplicaStatus(redis, keys);

  /** Why a table's topic is not its whole history; empty when it is. */
  const findGap = async (table: string): Promise<string> => {
    const why = await whyCut(status, table);
    if (why) return `the topic of ${table} was cut (${why})`;
    const topics = [tableTopic(topicPrefix, table)];
    const begun = (await readEnds({ admin, topics })).find(({ low }) => low > 0n);
    if (begun) return `the topic of ${table} no longer has its beginning (partition ${begun.partition} starts at ${begun.low})`;
    const [gap] = await findGaps({ admin, redis, keys, topics }); // it was made anew, and no consumer has claimed it since
    return gap === undefined ? '' : `the topic of ${table} is another than was read (${gap})`;
  };

  /** Every row that was read would be rejected. */
  const requireCountable = async (tables: string[]): Promise<void> => {
    const columns = await readColumns(db, tables);
    for (const definition of replicated.filter(({ name }) => tables.includes(name))) {
      const why = whyUnreadable(definition, columns[definition.name]);
      if (why) throw new PipelineError('source_refused', `${definition.name} cannot be read again: ${why}: restore it first`);
    }
  };

  return {
    planRebuild: async (tables, mode) => {
      const lost = (await status.conditions()).find((one) => one.state === 'halted' && one.scope === scopes.slot);
      if (lost && mode !== 'all') throw new PipelineError('slot_lost', lost.why);
      const gaps = mode === 'topic' ? await Promise.all(tables.map(findGap)) : [];
      const gap = gaps.find((why) => why !== '');
      const plan = gap === undefined ? { mode, note: '' } : { mode: 'snapshot' as const, note: `${gap}: reading from the source instead` };
      if (plan.mode !== 'topic') await requireCountable(tables);
      return plan;
    },
    announceRebuild: async (tables, why) => {
      for (const table of tables) {
        await status.set(table, 'rebuilding', scopes.rebuild, why);
        await status.clear(table, 'halted', scopes.rebuild);
      }
    },
    finishRebuild: async ({ tables }, mode, token) => {
      for (const { table, generation } of tables) if (await isForgotten(redis, keys, table, generation)) return true;
      for (const { table, columns, cut } of tables) {
        if (columns) await redis.setFields(keys.columns, { [table]: columns });
        await status.clear(table, 'drift', scopes.columns);
        await status.clear(table, 'rebuilding', scopes.cut, cut); // another cut is the next rebuild's
        if (mode === 'all') await status.clear(table, 'halted', scopes.slot);
        await status.clear(table, 'rebuilding', scopes.rebuild, sweptAs(token));
      }
      const left = await status.conditions();
      return left.some(({ table, state, scope }) => state === 'rebuilding' && scope === scopes.rebuild && tables.some((one) => one.table === table));
    },
    abandonRebuild: async (tables, why) => {
      const conditions = await status.conditions();
      for (const table of tables) {
        const isNeeded = conditions.some((one) => one.table === table && (one.scope === scopes.cut || one.scope === scopes.columns)) || (await hasVoidMarks(redis, keys, table));
        const text = why || (isNeeded ? `its re-reading was cancelled: run sluice resync ${table}` : '');
        if (text) await status.set(table, 'halted', scopes.rebuild, text);
        await status.clear(table, 'rebuilding', scopes.rebuild);
      }
    },
  };
}

/** -1 for what somebody else has written there. */
function generationOf(row: string): number {
  try {
    return parseStoredRow(row).version.generation;
  } catch {
    return -1;
  }
}

/** Letters of an older generation are not applied any more when they are replayed: the rows they are about were to be read again. Some were not. */
async function hasVoidMarks(redis: RedisStore, keys: Keys, table: string): Promise<boolean> {
  const { generation } = await readTableState(redis, keys, table);
  const { entity } = replicated.find(({ name }) => name === table)!;
  const start = keys.parkedMark(table, '').length;
  for await (const page of redis.scan(keys.parkedMark(table, '*'))) {
    const marks = await redis.strings(page);
    const rows = await redis.strings(page.map((key) => keys.row(entity, key.slice(start))));
    const isVoid = marks.some((text, i) => {
      const mark = text === null ? null : parseMark(text);
      const row = rows[i] ?? null;
      return mark !== null && mark.generation !== generation && (row === null || generationOf(row) <= mark.generation);
    });
    if (isVoid) return true;
  }
  return false;
}

/** The reason that is told of a table once it is swept. It stands in Redis behind all that the sweep has removed: a Redis that has forgotten some of that has forgotten it too. */
export const sweptAs = (token: string): string => `read again, what was not is removed (${token})`;

export const whyCut = async (status: ReplicaStatus, table: string): Promise<string> =>
  (await status.conditions()).find((one) => one.table === table && one.state === 'rebuilding' && one.scope === scopes.cut)?.why ?? '';
