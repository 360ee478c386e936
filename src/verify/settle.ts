/**
 * Tells a real difference from traffic in flight. Invariant: as long as the pipeline keeps up, a difference is reported only
 * when the replica had applied everything the source held while the source's side stood still, or stood at the very snapshot
 * it was compared with.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Queryable } from '../adapters/postgres.ts';
import type { Check, Reading } from './checks.ts';
import type { Difference, DriftWatch } from './drift.ts';
import type { Parked } from './parked.ts';
import type { Pipeline } from './pipeline.ts';
import { pagesOf } from './source.ts';

/** What every part of a comparison works with. */
export interface Comparison {
  source: Queryable;
  pipeline: Pipeline;
  parked: Parked;
  drift: DriftWatch;
}

const quickTries = 8;
const quickPauseMs = 150;
const provenTries = 2;
const holdTries = 3;
const pageIds = 100;
const parkedTries = 3;

/**
 * The differences among `ids` that are real. At most 3 holds and a few waits, however busy the source is; again as long as rows are found
 * that were parked after the walk over all keys, and add to what differs.
 */
export async function settle<D extends Difference>(check: Check<D>, ids: string[], comparison: Comparison): Promise<D[]> {
  let real = await settleOnce(check, ids, comparison);
  for (let tries = 1; real.length > 0 && (await comparison.parked.findMore()); tries += 1) {
    if (tries === parkedTries) {
      comparison.pipeline.leaveOpen();
      break;
    }
    real = await settleOnce(check, ids, comparison);
  }
  return real;
}

async function settleOnce<D extends Difference>(check: Check<D>, ids: string[], comparison: Comparison): Promise<D[]> {
  if (ids.length === 0) return [];
  const { source, pipeline, drift } = comparison;
  await drift.refresh();
  const read = (some: string[]) => readDiffering(check, some, comparison, source);
  let open = ids;
  for (let tries = 0; tries < quickTries && open.length > 0; tries += 1) {
    open = [...(await read(open)).keys()];
    if (open.length > 0) await pause(quickPauseMs);
  }
  let real: D[] = [];
  for (let tries = 0; tries < provenTries && open.length > 0; tries += 1) {
    const before = await read(open);
    const caughtUp = await pipeline.caughtUp();
    const after = await read([...before.keys()]);
    const isReal = (id: string, { version }: Reading<D>): boolean => !caughtUp || version === before.get(id)?.version;
    real = real.concat([...after].flatMap(([id, reading]) => (isReal(id, reading) ? reading.differences : [])));
    open = [...after].flatMap(([id, reading]) => (isReal(id, reading) ? [] : [id]));
  }
  return open.length === 0 ? real : real.concat(await settleAtHold(check, open, comparison));
}

/** For what is written so often that it never stands still between two reads. */
async function settleAtHold<D extends Difference>(check: Check<D>, ids: string[], comparison: Comparison): Promise<D[]> {
  const { source, pipeline } = comparison;
  let last: Map<string, Reading<D>> | undefined;
  for (let tries = 0; tries < holdTries; tries += 1) {
    const differing = await pipeline.atHold(
      (snapshot) => readDiffering(check, ids, comparison, snapshot),
      async (readings) => readings,
    );
    if (differing?.size === 0) return [];
    last = differing ?? last;
  }
  if (!last) {
    last = await readDiffering(check, ids, comparison, source);
    if (last.size > 0) pipeline.leaveOpen();
  }
  return [...last.values()].flatMap(({ differences }) => differences);
}

async function readDiffering<D extends Difference>(check: Check<D>, ids: string[], { parked, drift }: Comparison, source: Queryable): Promise<Map<string, Reading<D>>> {
  const differing = new Map<string, Reading<D>>();
  const share = await parked.share();
  for (const page of await pagesOf(source, check.table, ids, pageIds)) {
    for (const [id, { version, differences }] of await check.read(page, source, share)) {
      const real = differences.filter((difference) => !drift.isDrift(difference));
      if (real.length > 0) differing.set(id, { version, differences: real });
    }
  }
  return differing;
}
