/**
 * Every counter about the whole tables of now against hand-written SQL.
 * Accepted when the SQL gives the same before and after one atomic read of the replica that had applied all it was sent; under
 * traffic that never lets this happen, consumers are held at a snapshot instead.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Queryable } from '../adapters/postgres.ts';
import { compareAmounts, type AmountDifference, type ComparedAmounts, type Hashes } from './compare.ts';
import type { ParkedShare } from './parked.ts';
import type { PipelineDeps } from './pipeline.ts';
import { readTyped } from './read-typed.ts';
import type { Comparison } from './settle.ts';
import { readAggregates, sourceTables } from './source.ts';

export interface ComparedAggregates extends ComparedAmounts {
  /** How the moment of comparison was found: nothing moved, or consumers were held. */
  method: 'quiet' | 'hold';
}

const quietMs = 3_000;
const quietPauseMs = 100;
const holdTries = 3;

/** A row may have been parked after the walk over all keys: differences are believed only when no such row is found. */
export async function checkAggregates(deps: PipelineDeps, comparison: Comparison): Promise<ComparedAggregates> {
  const compared = await compareNow(deps, comparison);
  if (compared.differences.length === 0 || !(await comparison.parked.findMore())) return compared;
  return compareNow(deps, comparison);
}

async function compareNow(deps: PipelineDeps, comparison: Comparison): Promise<ComparedAggregates> {
  const { pipeline } = comparison;
  const quiet = await acceptQuiet(deps, comparison);
  if (quiet) return quiet;

  const held: ComparedAmounts[] = [];
  for (let tries = 0; tries < holdTries && !pipeline.isBehind(); tries += 1) {
    const compared = await pipeline.atHold(
      () => readReplica(deps, comparison),
      (found, source) => compareWith(found, source),
    );
    if (compared?.differences.length === 0) return { ...compared, method: 'hold' };
    if (compared) held.push(compared);
  }
  const [first] = held;
  if (first) return { checked: first.checked, differences: inAll(held.map(({ differences }) => differences)), method: 'hold' };

  return { ...(await pipeline.afterWait(async () => compareWith(await readReplica(deps, comparison), deps.db))), method: 'quiet' };
}

/** An event on its way could hide a real difference, so that equal is not enough: nothing may be waiting. */
async function acceptQuiet(deps: PipelineDeps, comparison: Comparison): Promise<ComparedAggregates | undefined> {
  const deadlineMs = Date.now() + quietMs;
  for (;;) {
    const { ids } = await comparison.parked.share();
    const before = await readAggregates(deps.db, ids);
    const isDrained = (await deps.readLag()).every(({ events }) => events === 0);
    const found = await readReplica(deps, comparison);
    const after = await readAggregates(deps.db, ids);
    const compared = compareAmounts(after, found.hashes, found.parked.amount);
    if (isDrained && compared.differences.length === 0 && JSON.stringify(before) === JSON.stringify(after)) return { ...compared, method: 'quiet' };
    if (Date.now() > deadlineMs) return undefined;
    await pause(quietPauseMs);
  }
}

/** Commit order and visibility order may rarely part, and make one hold see a difference that is none. A real one is in all. */
function inAll(results: AmountDifference[][]): AmountDifference[] {
  const [first = [], ...others] = results;
  return first.filter(({ key, field }) => others.every((differences) => differences.some((other) => other.key === key && other.field === field)));
}

interface Replica {
  /** All in one atomic read, by logical name. */
  hashes: Hashes;
  parked: ParkedShare;
}

const hashNames = sourceTables.flatMap(({ counters }) => counters);

async function readReplica({ redis, keys }: PipelineDeps, { parked }: Comparison): Promise<Replica> {
  const found = await readTyped(redis, 'hash', hashNames.map(keys.of), redis.hashes);
  return { hashes: new Map(hashNames.map((hash, at) => [hash, found[at] ?? {}])), parked: await parked.share() };
}

const compareWith = async ({ hashes, parked }: Replica, source: Queryable): Promise<ComparedAmounts> =>
  compareAmounts(await readAggregates(source, parked.ids), hashes, parked.amount);
