/**
 * From COMMIT of an order above the threshold to the start of its alert's workflow, as Temporal's history has it: open loop, each
 * order another customer's. Then a burst, to see how many alerts a second the way takes. One machine, one clock; Temporal tells whole milliseconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connectTemporal, type TemporalClient } from '../../src/adapters/temporal.ts';
import { access } from '../../src/access.ts';
import { connectAdmin } from '../../src/stack/postgres.ts';
import { parseAlertRef } from '../../src/domain/alert.ts';
import { alertWorkflowType } from '../../src/workflows/alert-contract.ts';
import { median, round, table } from './figures.ts';
import { runLoad, spread, type Spread } from './latency.ts';
import type { LoadDone } from './order-load.ts';
import type { RealStack } from './real-stack.ts';

export interface AlertPlan {
  perSecond: number;
  seconds: number;
  rounds: number;
  burst: number;
}

export interface AlertResult {
  plan: AlertPlan;
  /** COMMIT acknowledged to workflow started, microseconds, by round. */
  rounds: { startedUs: number[]; spread: Spread }[];
  medians: Spread;
  /** `alerts` orders committed at once: from the first COMMIT to the last workflow started. */
  burst: { alerts: number; committedSeconds: number; seconds: number; alertsPerSecond: number; spread: Spread };
}

const amount = '5000.00';
const budgetMs = 180_000;

export async function measureAlerts(stack: RealStack, plan: AlertPlan, say: (text: string) => void): Promise<AlertResult> {
  const { perSecond, seconds, rounds, burst } = plan;
  const temporal = await connectTemporal(access.temporal(stack.settings));
  const place = async (task: { perSecond: number; seconds: number }): Promise<Placed> =>
    startsOf(temporal, await runLoad(stack, { ...task, amount, firstCustomer: await addCustomers(stack, task.perSecond * task.seconds) }));
  try {
    await place({ perSecond, seconds: 5 }); // first workflows, first connections
    const done: AlertResult['rounds'] = [];
    for (let i = 1; i <= rounds; i += 1) {
      const startedUs = sinceCommit(await place({ perSecond, seconds }));
      done.push({ startedUs, spread: spread(startedUs) });
      say(`h ${i}/${rounds} ${perSecond} alerts/s: workflow started p50 ${spread(startedUs).p50Ms} p99 ${spread(startedUs).p99Ms} max ${spread(startedUs).maxMs} ms`);
    }
    const all = await place({ perSecond: burst, seconds: 1 });
    const first = Math.min(...all.committedUs);
    const took = (Math.max(...all.startedUs) - first) / 1e6;
    say(`h burst of ${burst}: ${round(burst / took, 1)} alerts/s`);
    const of = (part: keyof Spread): number => median(done.map((one) => one.spread[part]));
    return {
      plan,
      rounds: done,
      medians: { p50Ms: of('p50Ms'), p99Ms: of('p99Ms'), maxMs: of('maxMs') },
      burst: { alerts: burst, committedSeconds: round((Math.max(...all.committedUs) - first) / 1e6, 2), seconds: round(took, 2), alertsPerSecond: round(burst / took, 1), spread: spread(sinceCommit(all)) },
    };
  } finally {
    await temporal.close();
  }
}

interface Placed {
  /** Microseconds since 1970, order by order. */
  committedUs: number[];
  startedUs: number[];
}

const sinceCommit = ({ committedUs, startedUs }: Placed): number[] => startedUs.map((us, i) => us - committedUs[i]!);

/** Id of the first; of many states, so that nothing else is found. */
async function addCustomers({ settings }: RealStack, count: number): Promise<number> {
  const db = connectAdmin(settings, settings.POSTGRES_DB);
  try {
    const [row] = await db.query<{ first: number }>(
      `WITH added AS (INSERT INTO customers (first_name, last_name, email, state)
         SELECT 'Bench', 'Customer', 'bench-' || gen_random_uuid() || '@example.com', 'S' || n % 50 FROM generate_series(1, $1::integer) n RETURNING id)
       SELECT min(id) AS first FROM added`,
      [count],
    );
    return row!.first;
  } finally {
    await db.close();
  }
}

/** Waits until each order has its workflow. Those that run are listed, the newest first: all of a load must fit into what is listed. */
async function startsOf(temporal: TemporalClient, { ids, committedUs }: LoadDone): Promise<Placed> {
  const epochUs = Date.now() * 1000 - Number(process.hrtime.bigint() / 1000n);
  for (const deadline = performance.now() + budgetMs; performance.now() < deadline; await delay(1000)) {
    const started = new Map((await temporal.listOpen(alertWorkflowType)).map(({ id, startedAt }) => [parseAlertRef(id)?.entity, startedAt.getTime() * 1000]));
    if (ids.every((id) => started.has(String(id)))) return { committedUs: committedUs.map((us) => us + epochUs), startedUs: ids.map((id) => started.get(String(id))!) };
  }
  throw new Error(`not every order had its workflow within ${budgetMs} ms`);
}

export const alertTable = ({ plan, medians, burst }: AlertResult): string =>
  table(
    ['', 'alerts/s', 'started p50', 'p99', 'max (ms)'],
    [
      ['open loop', plan.perSecond, medians.p50Ms, medians.p99Ms, medians.maxMs],
      [`burst of ${burst.alerts}`, burst.alertsPerSecond, burst.spread.p50Ms, burst.spread.p99Ms, burst.spread.maxMs],
    ],
  );
