/**
 * One measured run of the floor or of the real consumer process over a filled topic, from the end of its warm-up to its last
 * event. Time and CPU are read by this process from outside.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createKeys, streamKeys } from '../../src/domain/keys.ts';
import { consumerFlags } from '../../src/stack/app-processes.ts';
import { inProject } from '../../src/stack/project.ts';
import type { BareMessage, BareTask } from './bare-consumer.ts';
import type { Lab, LabRedis } from './lab.ts';
import { cpuSeconds, machineCpuSeconds } from './machine.ts';

export interface Workload {
  topicPrefix: string;
  topic: string;
  /** Events of each run that are not measured, at its beginning. */
  warmUp: number;
  events: number;
}

export interface RunSample {
  eventsPerSecond: number;
  seconds: number;
  /** CPU seconds within the measured window. */
  consumerCpu: number;
  redisCpu: number;
  /** Of the whole machine: broker, measured processes and whoever else was there. */
  machineCpu: number;
}

const runBudgetMs = 20 * 60_000;

/** The bare client over the topic. */
export async function runFloor(lab: Lab, { topic, warmUp, events }: Workload): Promise<RunSample> {
  const task: BareTask = { mode: 'parse', brokers: lab.kafka.brokers, topic, warmUp, events };
  const child = forkBare(task);
  try {
    const meter = createMeter([child.pid!]);
    await messageFrom(child, 'warm');
    meter.start();
    await messageFrom(child, 'end');
    return sampleOf(meter.stop(), events - warmUp);
  } finally {
    await end(child, 'SIGKILL');
  }
}

export const forkBare = (task: BareTask): ChildProcess =>
  fork(inProject('scripts/bench/bare-consumer.ts'), [JSON.stringify(task)], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });

function messageFrom(child: ChildProcess, at: BareMessage['at']): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: BareMessage) => message.at === at && resolve());
    child.once('exit', (code) => reject(new Error(`the bare consumer ended with ${code}`)));
  });
}

export interface ConsumerRun {
  child: ChildProcess;
  pid: number;
  /** Resolves when Redis counts this many events. */
  applied: (events: number) => Promise<void>;
  stop: () => Promise<void>;
}

/** Which consumer of change topics is measured, and with which arguments of Node beside its own. */
export interface Measured {
  program?: 'cdc-consumer' | 'stream-consumer';
  nodeArgs?: string[];
}

/** Empties the Redis and starts the real consumer process on it. */
export async function startConsumer(lab: Lab, target: LabRedis, topicPrefix: string, { program = 'cdc-consumer', nodeArgs = [] }: Measured = {}): Promise<ConsumerRun> {
  const redis = new Redis({ host: '127.0.0.1', port: target.port, password: lab.settings.REDIS_PASSWORD.reveal() });
  await redis.flushall();
  mkdirSync(join(lab.dir, 'logs'), { recursive: true });
  const log = openSync(join(lab.dir, 'logs', 'consumer.log'), 'a');
  const child = spawn(process.execPath, ['--enable-source-maps', ...consumerFlags, ...nodeArgs, inProject('dist/main', `${program}.js`)], {
    env: { ...process.env, ...lab.environment(target, topicPrefix) },
    stdio: ['ignore', log, log, 'ipc'],
  });
  const keys = createKeys(lab.settings.REDIS_KEY_PREFIX);
  const { statsTotal } = program === 'stream-consumer' ? streamKeys(keys) : keys;
  return {
    child,
    pid: child.pid!,
    applied: async (events) => {
      for (const deadline = performance.now() + runBudgetMs; performance.now() < deadline; await delay(5)) {
        if (child.exitCode !== null) throw new Error(`the consumer ended with ${child.exitCode}: see ${lab.dir}/logs/consumer.log`);
        if (Number(await redis.get(statsTotal)) >= events) return;
      }
      throw new Error(`${events} events were not applied within ${runBudgetMs} ms`);
    },
    stop: async () => {
      await end(child, 'SIGTERM');
      redis.disconnect();
    },
  };
}

/** The real consumer over the topic, into an empty Redis. */
export async function runApply(lab: Lab, target: LabRedis, { topicPrefix, warmUp, events }: Workload, measured: Measured = {}): Promise<RunSample> {
  const consumer = await startConsumer(lab, target, topicPrefix, measured);
  try {
    const meter = createMeter([consumer.pid, target.pid]);
    await consumer.applied(warmUp);
    meter.start();
    await consumer.applied(events);
    return sampleOf(meter.stop(), events - warmUp);
  } finally {
    await consumer.stop();
  }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

interface Reading {
  seconds: number;
  cpu: number[];
  machineCpu: number;
}

function createMeter(pids: number[]): { start: () => void; stop: () => Reading } {
  const read = (): Reading => ({ seconds: performance.now() / 1000, cpu: pids.map(cpuSeconds), machineCpu: machineCpuSeconds() });
  let from: Reading | undefined;
  return {
    start: () => (from = read()),
    stop: () => {
      const to = read();
      return { seconds: to.seconds - from!.seconds, cpu: to.cpu.map((value, i) => value - from!.cpu[i]!), machineCpu: to.machineCpu - from!.machineCpu };
    },
  };
}

const sampleOf = ({ seconds, cpu: [consumerCpu = 0, redisCpu = 0], machineCpu }: Reading, events: number): RunSample => ({
  eventsPerSecond: events / seconds,
  seconds,
  consumerCpu,
  redisCpu,
  machineCpu,
});
