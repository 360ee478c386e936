/** Part g: a whole batch run beside the same aggregates as plain SQL, on a large and on a small shop, in interleaved runs. */
import { startBatchLab, type BatchLab } from './batch-lab.ts';
import { runPlain, startBatchWorker, type BatchWorker, type PlainSample, type RunSample, type StageSample } from './batch-runs.ts';
import { stages, type Stage } from './batch-task.ts';
import { median, round, table } from './figures.ts';
import { itemsPerOrder, type ShopSize } from './shop.ts';

interface Pair {
  plain: PlainSample;
  run: RunSample;
}

type Medians = Record<Stage, Omit<StageSample, 'held' | 'found'> & { longestMs: number }>;

export interface BatchEtlResult {
  shops: { large: ShopSize; small: ShopSize };
  itemsPerOrder: number;
  /** Of the worker-like process before its first run; Temporal's worker is not in it. */
  idleRssMb: number;
  rounds: { large: Pair; small: Pair }[];
  /** Of the large shop: medians over the rounds, Redis' longest command and the peaks over all of them. */
  stages: Medians;
  /** Medians over the rounds; a ratio is taken within its round. */
  runSeconds: number;
  plainSeconds: number;
  ofPlain: number;
  /** Likewise in CPU seconds: worker, PostgreSQL and Redis against PostgreSQL; says less of how busy the machine was. */
  cpuOfPlain: number;
  peakRssMb: number;
  longestCommandMs: { load: number; any: number };
  /** Time per order of the large shop against that of the small one, likewise for plain SQL: 1 is linear. */
  growth: number;
  plainGrowth: number;
}

export interface BatchEtlPlan {
  orders: number;
  rounds: number;
}

/** A tenth of the orders and customers, and as many products. */
function shopsOf(orders: number): BatchEtlResult['shops'] {
  const products = Math.ceil(orders / 100);
  const size = (database: string, share: number): ShopSize => ({ database, orders: orders * share, customers: (orders * share) / 10, products });
  return { large: size('shop_large', 1), small: size('shop_small', 0.1) };
}

export async function measureBatchEtl({ orders, rounds }: BatchEtlPlan, say: (text: string) => void): Promise<BatchEtlResult> {
  const shops = shopsOf(orders);
  const lab = await startBatchLab([shops.large, shops.small], say);
  try {
    const worker = await startBatchWorker(lab);
    const done: BatchEtlResult['rounds'] = [];
    try {
      await pairOf(lab, worker, shops.large, say, 'g warm-up');
      for (let i = 1; i <= rounds; i += 1) done.push({ large: await pairOf(lab, worker, shops.large, say, `g ${i}/${rounds}`), small: await pairOf(lab, worker, shops.small, say, `g ${i}/${rounds}`) });
    } finally {
      await worker.stop();
    }
    return { shops, itemsPerOrder, idleRssMb: worker.idleRssMb, rounds: done, ...figuresOf(done) };
  } finally {
    await lab.stop();
  }
}

async function pairOf(lab: BatchLab, worker: BatchWorker, { database }: ShopSize, say: (text: string) => void, what: string): Promise<Pair> {
  const plain = await runPlain(lab, database);
  const run = await worker.run(database);
  checkWhole(plain, run);
  const parts = stages.map((stage) => `${stage} ${round(run.stages[stage].seconds, 2)}`).join(', ');
  say(`${what} ${database}: plain SQL ${round(plain.seconds, 2)} s; batch ${round(run.seconds, 2)} s (${parts}), ${round(run.seconds / plain.seconds, 2)} of it`);
  return { plain, run };
}

/** A figure of a run that did something else is none. */
function checkWhole({ statements }: PlainSample, { stages: { quality, transform, load } }: RunSample): void {
  for (const [name, { records }] of Object.entries(statements)) {
    if (transform.found[name] !== records) throw new Error(`the batch made ${String(transform.found[name])} records of ${name}, plain SQL ${records}`);
  }
  if (quality.found['verdict'] !== 'pass' || load.found['published'] !== 'latest') throw new Error(`quality ${JSON.stringify(quality.found)}, load ${JSON.stringify(load.found)}`);
}

function figuresOf(rounds: BatchEtlResult['rounds']): Omit<BatchEtlResult, 'shops' | 'itemsPerOrder' | 'idleRssMb' | 'rounds'> {
  const of = (value: (pairs: { large: Pair; small: Pair }) => number, digits = 2): number => round(median(rounds.map(value)), digits);
  const most = (value: (sample: StageSample) => number, among: readonly Stage[] = stages): number => Math.max(...rounds.flatMap(({ large }) => among.map((stage) => value(large.run.stages[stage]))));
  const summary = (stage: Stage): Medians[Stage] => {
    const middle = (name: 'seconds' | 'workerCpu' | 'postgresCpu' | 'redisCpu' | 'machineCpu'): number => of(({ large }) => large.run.stages[stage][name]);
    return {
      seconds: middle('seconds'),
      workerCpu: middle('workerCpu'),
      postgresCpu: middle('postgresCpu'),
      redisCpu: middle('redisCpu'),
      machineCpu: middle('machineCpu'),
      peakRssMb: most(({ peakRssMb }) => peakRssMb, [stage]),
      longestMs: most(({ held }) => held.longestMs, [stage]),
    };
  };
  return {
    stages: Object.fromEntries(stages.map((stage) => [stage, summary(stage)])) as Medians,
    runSeconds: of(({ large }) => large.run.seconds),
    plainSeconds: of(({ large }) => large.plain.seconds),
    ofPlain: of(({ large }) => large.run.seconds / large.plain.seconds),
    cpuOfPlain: of(({ large }) => cpuOf(large.run) / large.plain.postgresCpu),
    peakRssMb: most(({ peakRssMb }) => peakRssMb),
    longestCommandMs: { load: most(({ held }) => held.longestMs, ['load']), any: most(({ held }) => held.longestMs) },
    growth: of(({ large, small }) => large.run.seconds / (10 * small.run.seconds)),
    plainGrowth: of(({ large, small }) => large.plain.seconds / (10 * small.plain.seconds)),
  };
}

const cpuOf = (run: RunSample): number => Object.values(run.stages).reduce((sum, { workerCpu, postgresCpu, redisCpu }) => sum + workerCpu + postgresCpu + redisCpu, 0);

export const batchEtlTable = (result: BatchEtlResult): string =>
  [
    table(
      ['', 'seconds', 'worker CPU', 'PostgreSQL CPU', 'Redis CPU', 'peak RSS (MB)', 'longest command (ms)'],
      Object.entries(result.stages).map(([stage, one]) => [stage, one.seconds, one.workerCpu, one.postgresCpu, one.redisCpu, one.peakRssMb, one.longestMs]),
    ),
    table(
      ['orders', 'batch (s)', 'plain SQL (s)', 'batch / plain', 'in CPU', 'peak RSS (MB)', 'idle RSS (MB)', 'longest command of load (ms)', 'growth', 'growth of plain SQL'],
      [[result.shops.large.orders, result.runSeconds, result.plainSeconds, result.ofPlain, result.cpuOfPlain, result.peakRssMb, result.idleRssMb, result.longestCommandMs.load, result.growth, result.plainGrowth]],
    ),
  ].join('\n\n');
