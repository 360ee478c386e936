/** One measured batch run in the worker-like process, step by step, and the same aggregates as plain SQL. Both are read from outside. */
import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { access } from '../../src/access.ts';
import { connectPostgres } from '../../src/adapters/postgres.ts';
import { inProject } from '../../src/stack/project.ts';
import type { BatchLab } from './batch-lab.ts';
import { stages, type Stage, type StageDone, type StageTask } from './batch-task.ts';
import { round } from './figures.ts';
import { familyCpuSeconds, forgetPeakRss, machineCpuSeconds, peakRssBytes, rssBytes } from './machine.ts';
import { shopWindow } from './shop.ts';

interface Cpu {
  workerCpu: number;
  postgresCpu: number;
  redisCpu: number;
  /** Of the whole machine: these three and whoever else was there. */
  machineCpu: number;
}

export interface StageSample extends Cpu {
  seconds: number;
  peakRssMb: number;
  /** Commands that held Redis for more than a millisecond, and the longest: milliseconds, 1 when there was none. */
  held: { commands: number; longestMs: number; longest: string };
  found: Record<string, unknown>;
}

export interface RunSample {
  seconds: number;
  stages: Record<Stage, StageSample>;
}

export interface PlainSample {
  seconds: number;
  postgresCpu: number;
  machineCpu: number;
  /** By statement: seconds, and the records it found. */
  statements: Record<string, { seconds: number; records: number }>;
}

export interface BatchWorker {
  pid: number;
  /** Before its first run. */
  idleRssMb: number;
  run: (database: string) => Promise<RunSample>;
  stop: () => Promise<void>;
}

const slowUs = 1000;

export async function startBatchWorker(lab: BatchLab): Promise<BatchWorker> {
  await lab.redis.config('SET', 'slowlog-log-slower-than', String(slowUs));
  await lab.redis.config('SET', 'slowlog-max-len', '100000');
  const child = fork(inProject('scripts/bench/batch-worker.ts'), [], { execArgv: ['--import', 'tsx'], env: { ...process.env, ...lab.env }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await answer(child);
  const pid = child.pid!;
  let runs = 0;
  return {
    pid,
    idleRssMb: megabytes(rssBytes(pid)),
    run: async (database) => {
      const runId = `bench-${(runs += 1)}`;
      const done = {} as RunSample['stages'];
      for (const stage of stages) done[stage] = await measureStage(lab, child, { stage, runId, database });
      return { seconds: Object.values(done).reduce((sum, { seconds }) => sum + seconds, 0), stages: done };
    },
    stop: async () => {
      if (child.connected) child.disconnect(); // it ends with its channel
      await end(child);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
}

async function measureStage({ pids, redis }: BatchLab, child: ChildProcess, task: StageTask): Promise<StageSample> {
  const pid = child.pid!;
  const read = (): Cpu => ({ workerCpu: familyCpuSeconds(pid), postgresCpu: familyCpuSeconds(pids.postgres), redisCpu: familyCpuSeconds(pids.redis), machineCpu: machineCpuSeconds() });
  await redis.slowlog('RESET');
  forgetPeakRss(pid);
  const from = read();
  child.send(task);
  const { seconds, found } = await answer<StageDone>(child);
  const to = read();
  const used = Object.fromEntries(Object.entries(to).map(([name, value]) => [name, round(value - from[name as keyof Cpu], 2)])) as unknown as Cpu;
  return { seconds: round(seconds, 3), ...used, peakRssMb: megabytes(peakRssBytes(pid)), held: await heldBy(redis), found };
}

const megabytes = (bytes: number): number => round(bytes / 1e6, 1);

/** Names of commands only: their arguments are rows. */
async function heldBy(redis: Redis): Promise<StageSample['held']> {
  const entries = (await redis.slowlog('GET', -1)) as [id: number, at: number, us: number, args: string[]][];
  const others = entries.filter(([, , , [name]]) => name?.toLowerCase() !== 'slowlog'); // ours
  const [longest] = others.toSorted((a, b) => b[2] - a[2]);
  return { commands: others.length, longestMs: round((longest?.[2] ?? slowUs) / 1000, 1), longest: longest?.[3][0]?.toLowerCase() ?? 'none' };
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null): void => reject(new Error(`the batch worker ended with ${code}`));
    child.once('exit', gone);
    child.once('message', (message: T) => {
      child.off('exit', gone);
      resolve(message);
    });
  });
}

/** The statements of `sluice batch verify`, as sluice_reader. Every record is made and hashed by the server; what travels is one row. */
export async function runPlain({ settings, pids }: BatchLab, database: string): Promise<PlainSample> {
  const db = connectPostgres({ ...access.batchReader(settings), database, name: 'bench-plain' });
  try {
    await db.query('SELECT');
    const statements: PlainSample['statements'] = {};
    const from = { ms: performance.now(), cpu: familyCpuSeconds(pids.postgres), machine: machineCpuSeconds() };
    for (const table of ['customers', 'products', 'orders']) {
      const startMs = performance.now();
      const [row] = await db.query<{ records: string }>(`SELECT count(*) AS records, bit_xor(hashtextextended(id || record::text, 0)) AS hash FROM (${statementOf(table)}) r`);
      statements[table] = { seconds: round((performance.now() - startMs) / 1000, 3), records: Number(row?.records) };
    }
    const seconds = round((performance.now() - from.ms) / 1000, 3);
    return { seconds, postgresCpu: round(familyCpuSeconds(pids.postgres) - from.cpu, 2), machineCpu: round(machineCpuSeconds() - from.machine, 2), statements };
  } finally {
    await db.close();
  }
}

const statementOf = (table: string): string =>
  readFileSync(inProject('sql/verify', `batch-${table}.sql`), 'utf8').replaceAll('$1', `'${shopWindow.end}'`).replaceAll('$2', `'${shopWindow.start}'`);
