/**
 * Part i: `sluice verify` over a whole shop under traffic, in turns with the floor: pg and ioredis reading the same rows and the
 * values of the same keys, a page after the other, comparing nothing and looking at neither sets nor counters.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { connectPostgres, type Database } from '../../src/adapters/postgres.ts';
import { access } from '../../src/access.ts';
import { inProject } from '../../src/stack/project.ts';
import { sourceTables } from '../../src/verify/source.ts';
import type { VerifyReport } from '../../src/verify/verify.ts';
import { fifths, median, round, table } from './figures.ts';
import { cpuSeconds, peakRssBytes, rssBytes } from './machine.ts';
import { startFilledStack, wholeShop, type RealStack, type SnapshotSample } from './real-stack.ts';

export interface VerifySample {
  seconds: number;
  floorSeconds: number;
  cpuSeconds: number;
  peakMb: number;
  /** Resident memory, medians of the fifths of the run. */
  fifthsMb: number[];
  /** Rows that were compared. */
  rows: number;
  /** How counters of whole tables were compared. */
  method: VerifyReport['aggregates']['method'];
}

export interface VerifyCost {
  snapshot: SnapshotSample;
  ordersPerSecond: number;
  rounds: VerifySample[];
}

const sampleMs = 250;
const pageRows = 1_000;

/** Errors: a replica that is not equal, which makes every figure worthless. */
export async function measureVerify({ orders, rounds, ordersPerSecond }: { orders: number; rounds: number; ordersPerSecond: number }, say: (text: string) => void): Promise<VerifyCost> {
  const { stack, snapshot } = await startFilledStack(wholeShop(orders));
  say(`i snapshot of ${snapshot.rows} rows: ${round(snapshot.rowsPerSecond)} rows/s`);
  const traffic = runCli(stack, ['generate', '--orders', '10000000', '--rate', String(ordersPerSecond)]);
  const done: VerifySample[] = [];
  try {
    for (let i = 1; i <= rounds; i += 1) {
      const floorSeconds = await readEverything(stack);
      const sample = { ...(await runVerify(stack)), floorSeconds: round(floorSeconds, 1) };
      if (traffic.exitCode !== null) throw new Error(`the traffic ended with ${traffic.exitCode}`);
      done.push(sample);
      say(`i ${i}/${rounds} ${sample.rows} rows: ${sample.seconds} s, floor ${sample.floorSeconds} s, peak ${sample.peakMb} MB`);
    }
  } finally {
    if (traffic.exitCode === null && traffic.kill('SIGINT')) await once(traffic, 'exit');
    await stack.stop();
  }
  return { snapshot, ordersPerSecond, rounds: done };
}

/** Without what it tells of its progress. */
const runCli = ({ env }: RealStack, args: string[]): ChildProcess =>
  spawn(process.execPath, [inProject('bin/sluice.mjs'), ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] });

async function runVerify(stack: RealStack): Promise<Omit<VerifySample, 'floorSeconds'>> {
  const startMs = performance.now();
  const child = runCli(stack, ['verify', '--json']);
  let stdout = '';
  child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  const ended = once(child, 'close');
  const sizes: number[] = [];
  let used = { cpuSeconds: 0, peakMb: 0 };
  while (child.exitCode === null) {
    try {
      sizes.push(round(rssBytes(child.pid!) / 1e6));
      used = { cpuSeconds: cpuSeconds(child.pid!), peakMb: round(peakRssBytes(child.pid!) / 1e6) };
    } catch {
      break; // it has just ended
    }
    await delay(sampleMs);
  }
  await ended;
  const seconds = round((performance.now() - startMs) / 1000, 1);
  const report = JSON.parse(stdout) as VerifyReport;
  if (!report.ok) throw new Error(`verify found a difference:\n${stdout.slice(0, 2000)}`);
  return { seconds, ...used, fifthsMb: fifths(sizes), rows: report.rows.checked, method: report.aggregates.method };
}

async function readEverything(stack: RealStack): Promise<number> {
  const db = connectPostgres({ ...access.reader(stack.settings), name: 'bench-floor', max: 1 });
  const redis = stack.redis();
  const startMs = performance.now();
  try {
    for (const { table: name, entity } of sourceTables) {
      for await (const ids of pages(db, name)) await redis.mget(ids.map((id) => `${stack.settings.REDIS_KEY_PREFIX}${entity}:${id}`));
    }
  } finally {
    redis.disconnect();
    await db.close();
  }
  return (performance.now() - startMs) / 1000;
}

/** Every row of a table is read; its id is told. */
async function* pages(db: Database, name: string): AsyncGenerator<number[]> {
  for (let last = 0; ; ) {
    const rows = await db.query<{ id: string }>(`SELECT * FROM public.${name} WHERE id > $1 ORDER BY id LIMIT ${pageRows}`, [last]);
    if (rows.length > 0) yield rows.map(({ id }) => Number(id));
    if (rows.length < pageRows) return;
    last = Number(rows.at(-1)!.id);
  }
}

export function verifyTable({ rounds }: VerifyCost): string {
  const of = (part: (sample: VerifySample) => number): number => median(rounds.map(part));
  return table(
    ['rows compared', 'seconds', 'of the floor', 'CPU s', 'peak (MB)', 'fifths (MB)'],
    [[of(({ rows }) => rows), of(({ seconds }) => seconds), round(of(({ seconds, floorSeconds }) => seconds / floorSeconds), 2), of((sample) => sample.cpuSeconds), Math.max(...rounds.map(({ peakMb }) => peakMb)), rounds.at(-1)!.fifthsMb.join(', ')]],
  );
}
