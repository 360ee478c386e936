/**
 * Tables that are not expected to be equal yet: their columns have changed, or they are being read again. What differs because
 * of it is drift, told as such and not as a difference; it is no equality either.
 */
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { absent, parseObject, type AmountDifference, type RowDifference, type SetDifference } from './compare.ts';
import { readColumns, sampleIds, sourceTables, type SourceTable } from './source.ts';

export interface Drift {
  table: string;
  why: string;
  /** Rows, set members and counters that differ because of it. */
  differences: number;
}

export type Difference = RowDifference | SetDifference | AmountDifference;
export type DriftWatch = ReturnType<typeof createDriftWatch>;

/** States of `cdc:status` in which a table is being brought in line. */
const passingStates = new Set(['drift', 'rebuilding', 'sweeping']);
/** Counters and sets of single customers and products, by the table whose rows add to them. */
const sharedKeys: [shape: RegExp, table: string][] = [
  [/^metrics:product:/, 'order_items'],
  [/^customer:[^:]*:orders$/, 'orders'],
];

export function tableOf(key: string): string | undefined {
  const [, table] = sharedKeys.find(([shape]) => shape.test(key)) ?? [];
  return table ?? sourceTables.find(({ entity, counters }) => counters.includes(key) || key.startsWith(`${entity}:`))?.table;
}

export function createDriftWatch({ db, redis, keys }: { db: Queryable; redis: RedisStore; keys: Keys }) {
  const counts = new Map<string, number>();
  /** Table → why, while the status says that all of it is being brought in line. */
  const passing = new Map<string, string>();
  /** Table → columns that its rows as a whole have not followed yet → added or dropped. */
  const changed = new Map<string, Map<string, string>>();

  const why = (table: string): string => {
    const columns = [...(changed.get(table) ?? [])].map(([column, change]) => `column ${column} ${change}`);
    return [...columns, ...(passing.has(table) ? [passing.get(table)!] : [])].join(', ');
  };
  const isDrift = (difference: Difference): boolean => {
    const table = tableOf(difference.key);
    if (table === undefined) return false;
    if (passing.has(table)) return true;
    return 'column' in difference && [difference.expected, difference.found].includes(absent) && changed.get(table)?.has(difference.column) === true;
  };

  return {
    /** Learns the state of now. What has once been drift stays so: it may be over before the end. */
    refresh: async (): Promise<void> => {
      const status = await redis.hash(keys.status);
      for (const table of sourceTables) {
        const state = status[table.table] ?? '';
        if (passingStates.has(state)) passing.set(table.table, `${state}: ${status[`${table.table}:why`] ?? 'no reason given'}`);
        const columns = await changedColumns(db, redis, keys, table);
        if (columns.size > 0) changed.set(table.table, columns);
      }
    },
    isDrift: (difference: Difference): boolean => passing.size + changed.size > 0 && isDrift(difference),
    note: (difference: Difference): void => {
      const table = tableOf(difference.key) ?? '';
      counts.set(table, (counts.get(table) ?? 0) + 1);
    },
    found: (): Drift[] => [...counts].map(([table, differences]) => ({ table, why: why(table), differences })),
  };
}

/** Columns that most rows of a sample lack though the source has them, or have though it does not: one damaged row is no drift. */
async function changedColumns(db: Queryable, redis: RedisStore, keys: Keys, { table, entity }: SourceTable): Promise<Map<string, string>> {
  const columns = (await readColumns(db, table)).map(({ name }) => name);
  const texts = await redis.strings((await sampleIds(db, table)).map((id) => keys.row(entity, id)));
  const rows = texts.map((text) => (text === null ? null : parseObject(text))).filter((row) => row !== null);
  const most = (has: (row: Record<string, unknown>) => boolean): boolean => rows.length > 0 && 2 * rows.filter(has).length > rows.length;
  const dropped = new Set(rows.flatMap((row) => Object.keys(row)).filter((name) => !name.startsWith('_') && !columns.includes(name)));
  const added = columns.filter((name) => most((row) => !Object.hasOwn(row, name)));
  const gone = [...dropped].filter((name) => most((row) => Object.hasOwn(row, name)));
  return new Map<string, string>([...added.map((name): [string, string] => [name, 'added']), ...gone.map((name): [string, string] => [name, 'dropped'])]);
}
