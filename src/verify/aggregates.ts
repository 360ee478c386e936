/**
 * Every counter about the rows of now against hand-written SQL.
 * Accepted when the SQL gives the same before and after one atomic read of the replica that had applied all it was sent; under
 * traffic that never lets this happen, consumers are held at a snapshot instead.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Queryable } from '../adapters/postgres.ts';
import { names } from '../domain/keys.ts';
import { compareAmounts, type AmountDifference, type ComparedAmounts, type Hashes } from './compare.ts';
import type { PipelineDeps, Pipeline } from './pipeline.ts';
import { readTyped } from './read-typed.ts';
import { idPages, readAggregates, sourceTables } from './source.ts';

export interface AggregatesReport extends ComparedAmounts {
  /** How the moment of comparison was found: nothing moved, or consumers were held. */
  method: 'quiet' | 'hold';
}

const quietMs = 3_000;
const quietPauseMs = 100;
const holdTries = 3;

/** `strayProducts`: products the source does not have but Redis has counters of. */
export async function checkAggregates(deps: PipelineDeps, pipeline: Pipeline, strayProducts: string[]): Promise<AggregatesReport> {
  const readReplica = (source: Queryable) => readCounters(deps, source, strayProducts);
  const quiet = await acceptQuiet(deps, readReplica);
  if (quiet) return quiet;

  const held: ComparedAmounts[] = [];
  for (let tries = 0; tries < holdTries && !pipeline.isBehind(); tries += 1) {
    const compared = await pipeline.atHold(readReplica, async (found, source) => compareAmounts(await readAggregates(source), found));
    if (compared?.differences.length === 0) return { ...compared, method: 'hold' };
    if (compared) held.push(compared);
  }
  const [first] = held;
  if (first) return { checked: first.checked, differences: inAll(held.map(({ differences }) => differences)), method: 'hold' };

  // Nothing is written that could stop a consumer, or none runs: then what is there after a wait is what there is.
  await pipeline.caughtUp();
  const found = await readReplica(deps.db);
  return { ...compareAmounts(await readAggregates(deps.db), found), method: 'quiet' };
}

/** An event on its way could hide a real difference, so that equal is not enough: nothing may be waiting. */
async function acceptQuiet(deps: PipelineDeps, readReplica: (source: Queryable) => Promise<Hashes>): Promise<AggregatesReport | undefined> {
  const deadlineMs = Date.now() + quietMs;
  for (let before = await readAggregates(deps.db); ;) {
    const isDrained = (await deps.readLag()).every(({ events }) => events === 0);
    const found = await readReplica(deps.db);
    const after = await readAggregates(deps.db);
    const compared = compareAmounts(after, found);
    if (isDrained && compared.differences.length === 0 && JSON.stringify(before) === JSON.stringify(after)) return { ...compared, method: 'quiet' };
    if (Date.now() > deadlineMs) return undefined;
    await pause(quietPauseMs);
    before = after;
  }
}

/** Commit order and visibility order may rarely part, and make one hold see a difference that is none. A real one is in all. */
function inAll(results: AmountDifference[][]): AmountDifference[] {
  const [first = [], ...others] = results;
  return first.filter(({ key, field }) => others.every((differences) => differences.some((other) => other.key === key && other.field === field)));
}

/** All hashes in one atomic read, by logical name. */
async function readCounters({ redis, keys }: PipelineDeps, source: Queryable, strayProducts: string[]): Promise<Hashes> {
  const hashes = [...sourceTables.map(({ table }) => names.live(table)), names.revenue, names.ordersByStatus, names.customersByState, names.productsByCategory];
  for await (const ids of idPages(source, 'products')) hashes.push(...ids.map(names.product));
  hashes.push(...strayProducts.map(names.product));
  const found = await readTyped(redis, 'hash', hashes.map(keys.of), redis.hashes);
  return new Map(hashes.map((hash, at) => [hash, found[at] ?? {}]));
}
