/** Reads and changes the state of a table in Redis: compare and set, so no two changes are mixed. */
import type { RedisStore } from '../adapters/redis.ts';
import type { Keys } from '../domain/keys.ts';
import { formatTableState, parseTableState, type TableState } from '../domain/table-state.ts';
import { decodeReply, encodeCommit, type Commit } from './commit.ts';

type Change = (state: TableState) => TableState;

export const readTableState = async (redis: RedisStore, keys: Keys, table: string): Promise<TableState> =>
  parseTableState((await redis.strings([keys.tableState(table)]))[0] ?? null);

/** Whether Redis does not know of a generation that was begun: it was emptied, or went back. */
export const isForgotten = async (redis: RedisStore, keys: Keys, table: string, generation: number): Promise<boolean> => (await readTableState(redis, keys, table)).generation < generation;

/** Sets what `change` makes of the state; once more whenever someone else was faster. */
export async function changeTableState(redis: RedisStore, keys: Keys, table: string, change: Change): Promise<TableState> {
  const nothingElse: Commit = { expect: { fields: [], strings: [] } };
  return (await changeTogether(redis, keys, table, change, nothingElse))!;
}

/** The same in one commit with `also`; null, and nothing changed, when something is not as `also` expects it. */
export async function changeTogether(redis: RedisStore, keys: Keys, table: string, change: Change, also: Commit): Promise<TableState | null> {
  const key = keys.tableState(table);
  for (;;) {
    const [text = null] = await redis.strings([key]);
    const state = change(parseTableState(text));
    const script = encodeCommit(keys, {
      ...also,
      expect: { ...also.expect, strings: [[key, text ?? ''], ...also.expect.strings] },
      strings: [[key, formatTableState(state)], ...(also.strings ?? [])],
    });
    const reply = decodeReply(await redis.commit(script.keys, script.args));
    if (reply.result === 'applied') return state;
    if (reply.result !== 'stale' || reply.key !== key) return null;
  }
}

export const nextGeneration: Change = (state) => ({ ...state, generation: state.generation + 1 });

/**
 * Whatever is applied from now on is of a new generation: rows that keep an older one were not read again. `anew`: and of a log whose LSNs
 * may be smaller than those of before (a source restored from a backup), so no TRUNCATE of before may be compared with them.
 */
export const raiseGeneration = (redis: RedisStore, keys: Keys, table: string, anew = false): Promise<TableState> =>
  changeTableState(redis, keys, table, (state) => ({ ...nextGeneration(state), ...(anew && { mark: '0' }) }));
