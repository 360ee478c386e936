/**
 * `sluice verify`: the source against the replica, rows, sets and counters.
 * Invariant: memory is bounded (pages, and suspects settled in portions), and nothing is written but the hold.
 */
import { checkAggregates, type ComparedAggregates } from './aggregates.ts';
import { createProductCheck, createRowCheck, createSetCheck, type Check } from './checks.ts';
import type { AmountDifference, RowDifference, SetDifference } from './compare.ts';
import { createDriftWatch, type Difference, type Drift } from './drift.ts';
import { mapAhead } from './map-ahead.ts';
import { Parked } from './parked.ts';
import { createPipeline, type PipelineDeps } from './pipeline.ts';
import { createProgress, type Progress } from './progress.ts';
import { scanReplica } from './scan.ts';
import { settle, type Comparison } from './settle.ts';
import { estimateRows, idPages, sourceTables } from './source.ts';

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
  /** Counters: of whole tables, by `method`, and of each product. */
  aggregates: CheckReport<AmountDifference> & Pick<ComparedAggregates, 'method'>;
  /** Keys with an open dead letter whose rows were not compared, logical names. */
  parked: string[];
  /** Tables that are being brought in line with changed columns, or read again: not equal yet, and not called different. */
  drift: Drift[];
  /** True when the pipeline did not catch up while verify waited, or never stood still: what differs may be on its way. */
  behind: boolean;
}

const suspectsMax = 2_000;
const differencesMax = 1_000;
const shareMsMax = 5_000;
/** With a great many parked rows: how much longer a share is used than it took. */
const sharePauses = 10;
const pagesInWork = 2;

/** `tell` hears how far it is. Errors: those of the servers. */
export async function verify(deps: PipelineDeps, tell: (progress: Progress) => void): Promise<VerifyReport> {
  const { db, redis } = deps;
  // A server that is away is told at once. One after the other: a client that is still connecting cannot be closed.
  await db.query('SELECT 1');
  await redis.ping();
  await deps.readEnds();
  const comparison: Comparison = { source: db, pipeline: createPipeline(deps), parked: new Parked(deps), drift: createDriftWatch(deps) };
  const { pipeline, parked, drift } = comparison;
  await drift.refresh();

  const progress = await createSteps(deps, tell);
  const strays = await scanReplica(deps, parked, (seen) => progress('keys', seen));
  const run: CheckRun = { deps, comparison, tell: progress };
  const rows = emptyReport<RowDifference>();
  for (const table of sourceTables) {
    const check = await createRowCheck(deps, table, parked);
    await runCheck(check, table.table, [...(strays.rows.get(table.table) ?? [])], rows, run);
  }
  const sets = emptyReport<SetDifference>();
  await runCheck(createSetCheck(deps), 'orders of customers', [...strays.sets], sets, run);
  const aggregates = emptyReport<AmountDifference>();
  await runCheck(createProductCheck(deps), 'counters of products', [...strays.products], aggregates, run);

  progress('counters', 0);
  const method = await addWholeTables(aggregates, run);
  await drift.refresh();
  takeDriftOut(rows, comparison);
  takeDriftOut(sets, comparison);
  takeDriftOut(aggregates, comparison);
  const isEqual = [rows, sets, aggregates].every((report) => report.differences.length === 0);
  const drifting = drift.found();
  return {
    ok: isEqual && drifting.length === 0,
    rows,
    sets,
    aggregates: { ...aggregates, method },
    parked: await parked.left(),
    drift: drifting,
    behind: pipeline.isBehind() || (!isEqual && pipeline.isOpen()),
  };
}

const emptyReport = <D>(): CheckReport<D> => ({ checked: 0, differences: [], stopped: false, elapsedMs: 0 });

async function createSteps({ db }: PipelineDeps, tell: (progress: Progress) => void): Promise<CheckRun['tell']> {
  const totals = new Map<string, number>();
  for (const { table } of sourceTables) totals.set(table, await estimateRows(db, table));
  const of = (table: string): number => totals.get(table) ?? 0;
  const keys = [...totals.values()].reduce((sum, rows) => sum + rows, 0) + of('customers') + of('products');
  return createProgress(
    [
      { name: 'keys', total: keys, weight: 0.25 },
      ...sourceTables.map(({ table }) => ({ name: table, total: of(table), weight: 1 })),
      { name: 'orders of customers', total: of('customers'), weight: 0.7 },
      { name: 'counters of products', total: of('products'), weight: 1 },
      { name: 'counters', total: 1, weight: keys / 50 },
    ],
    tell,
  );
}

interface CheckRun {
  deps: PipelineDeps;
  comparison: Comparison;
  tell: (step: string, done: number) => void;
}

/** Compares every id of the source and the strays; adds to `report`. */
async function runCheck<D extends Difference>(check: Check<D>, name: string, strays: string[], report: CheckReport<D>, { deps, comparison, tell }: CheckRun): Promise<void> {
  const { drift, parked } = comparison;
  const startMs = performance.now();
  let suspects = strays;
  let checked = 0;
  const settleAll = async (): Promise<void> => {
    report.differences = report.differences.concat(await settle(check, suspects, comparison));
    suspects = [];
    report.stopped ||= report.differences.length >= differencesMax;
  };
  let share = await parked.share();
  let shareDueMs = performance.now() + shareMsMax;
  const read = async (ids: string[]) => {
    const nowMs = performance.now();
    if (nowMs > shareDueMs) {
      shareDueMs = Number.POSITIVE_INFINITY;
      share = await parked.share();
      shareDueMs = performance.now() + Math.max(shareMsMax, sharePauses * (performance.now() - nowMs));
    }
    return { ids, readings: await check.read(ids, deps.db, share) };
  };
  for await (const { ids, readings } of mapAhead(idPages(deps.db, check.table, check.pageRows), pagesInWork, read)) {
    if (suspects.length >= suspectsMax) await settleAll();
    if (report.stopped) break;
    for (const [id, { differences }] of readings) {
      const drifting = differences.filter((difference) => drift.isDrift(difference));
      for (const one of drifting) drift.note(one);
      if (differences.length > drifting.length) suspects.push(id);
    }
    checked += ids.length;
    tell(name, checked);
  }
  if (!report.stopped) await settleAll();
  report.checked += checked;
  report.elapsedMs += Math.round(performance.now() - startMs);
}

async function addWholeTables(report: CheckReport<AmountDifference>, { deps, comparison }: CheckRun): Promise<ComparedAggregates['method']> {
  const startMs = performance.now();
  const { method, checked, differences } = await checkAggregates(deps, comparison);
  report.checked += checked;
  report.differences = report.differences.concat(differences);
  report.elapsedMs += Math.round(performance.now() - startMs);
  return method;
}

/** The table may have been told as drifting only after its differences were found. */
function takeDriftOut<D extends Difference>(report: CheckReport<D>, { drift }: Comparison): void {
  for (const difference of report.differences) if (drift.isDrift(difference)) drift.note(difference);
  report.differences = report.differences.filter((difference) => !drift.isDrift(difference));
}
