/**
 * `sluice verify`: the source against the replica, rows, sets and counters.
 * Invariant: memory is bounded (pages, and suspects settled in portions), and nothing is written but the hold.
 */
import { checkAggregates, type AggregatesReport } from './aggregates.ts';
import { createRowCheck, createSetCheck, type Check } from './checks.ts';
import type { RowDifference, SetDifference } from './compare.ts';
import { createPipeline, type Pipeline, type PipelineDeps } from './pipeline.ts';
import { scanReplica } from './scan.ts';
import { settle } from './settle.ts';
import { idPages, sourceTables } from './source.ts';

export interface CheckReport<D> {
  checked: number;
  differences: D[];
  /** True when so much differs that the check stopped early. */
  stopped: boolean;
  elapsedMs: number;
}

export interface VerifyReport {
  ok: boolean;
  rows: CheckReport<RowDifference>;
  sets: CheckReport<SetDifference>;
  aggregates: AggregatesReport & { elapsedMs: number };
  /** Keys with an open dead letter whose rows were not compared, logical names. */
  parked: string[];
  /** True when the pipeline did not catch up while verify waited: what differs may be on its way. */
  behind: boolean;
}

const suspectsMax = 2_000;
const differencesMax = 1_000;

/** `tell` hears what is being done. Errors: those of the servers. */
export async function verify(deps: PipelineDeps, tell: (step: string) => void): Promise<VerifyReport> {
  const { db, redis, keys } = deps;
  const pipeline = createPipeline(deps);
  // A server that is away is told at once. One after the other: a client that is still connecting cannot be closed.
  await db.query('SELECT 1');
  await redis.ping();
  await deps.readEnds();
  tell('keys the source does not have');
  const strays = await scanReplica(deps);

  const rows: CheckReport<RowDifference> = { checked: 0, differences: [], stopped: false, elapsedMs: 0 };
  for (const table of sourceTables) {
    const check = await createRowCheck(deps, table, strays.parked);
    await runCheck(check, [...(strays.rows.get(table.table) ?? [])], rows, { deps, pipeline, tell: (count) => tell(`${table.table}: ${count} rows`) });
  }
  const sets: CheckReport<SetDifference> = { checked: 0, differences: [], stopped: false, elapsedMs: 0 };
  await runCheck(createSetCheck(redis, keys), [...strays.sets], sets, { deps, pipeline, tell: (count) => tell(`orders of ${count} customers`) });

  tell('counters');
  const startMs = performance.now();
  const compared = await checkAggregates(deps, pipeline, [...strays.products]);
  const aggregates = { ...compared, elapsedMs: Math.round(performance.now() - startMs) };
  const ok = [rows, sets, aggregates].every(({ differences }) => differences.length === 0);
  return { ok, rows, sets, aggregates, parked: [...strays.parked].sort(), behind: pipeline.isBehind() };
}

interface CheckRun {
  deps: PipelineDeps;
  pipeline: Pipeline;
  tell: (checked: number) => void;
}

/** Compares every id of the source and the strays; adds to `report`. */
async function runCheck<D>(check: Check<D>, strays: string[], report: CheckReport<D>, { deps, pipeline, tell }: CheckRun): Promise<void> {
  const startMs = performance.now();
  let suspects = strays;
  let checked = 0;
  const settleAll = async (): Promise<void> => {
    report.differences.push(...(await settle(check, suspects, pipeline, deps.db)));
    suspects = [];
    report.stopped ||= report.differences.length >= differencesMax;
  };
  for await (const ids of idPages(deps.db, check.table)) {
    if (suspects.length >= suspectsMax) await settleAll();
    if (report.stopped) break;
    for (const [id, { differences }] of await check.read(ids, deps.db)) if (differences.length > 0) suspects.push(id);
    checked += ids.length;
    tell(checked);
  }
  if (!report.stopped) await settleAll();
  report.checked += checked;
  report.elapsedMs += Math.round(performance.now() - startMs);
}
