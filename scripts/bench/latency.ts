/**
 * Part b: from COMMIT to visible in Redis, beside COMMIT to seen by a bare consumer, for the same orders at the same time.
 * Redis tells by a keyspace notification when a row was written; nothing polls.
 */
import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inProject } from '../../src/stack/project.ts';
import type { BareMessage } from './bare-consumer.ts';
import { median, percentile, round, table } from './figures.ts';
import type { LoadDone, LoadTask } from './order-load.ts';
import type { RealStack } from './real-stack.ts';
import { end, forkBare } from './runs.ts';

export interface Spread {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface LatencySample {
  perSecond: number;
  events: number;
  /** COMMIT acknowledged to row visible in Redis. */
  visible: Spread;
  /** COMMIT acknowledged to record in the hands of a bare consumer. */
  floor: Spread;
  /** How late the load itself was: due to COMMIT acknowledged. */
  commit: Spread;
}

export interface LatencyResult {
  warmUpSeconds: number;
  rounds: LatencySample[];
  medians: Record<string, { visible: Spread; floor: Spread; commit: Spread }>;
}

const arrivalBudgetMs = 60_000;
type Seen = Map<number, number>;

export interface LatencyPlan {
  rates: number[];
  rounds: number;
  seconds: number;
  warmUpSeconds: number;
}

export async function measureLatency(stack: RealStack, { rates, rounds, seconds, warmUpSeconds }: LatencyPlan, say: (text: string) => void): Promise<LatencyResult> {
  const redisSeen: Seen = new Map();
  const bareSeen: Seen = new Map();
  const watcher = await watchRedis(stack, redisSeen);
  const bare = await watchTopic(stack, bareSeen);
  const done: LatencySample[] = [];
  try {
    await runLoad(stack, { perSecond: Math.max(...rates), seconds: warmUpSeconds });
    for (let i = 1; i <= rounds; i += 1) {
      for (const perSecond of rates) {
        const load = await runLoad(stack, { perSecond, seconds });
        await arrival(load.ids, [redisSeen, bareSeen]);
        const sample = sampleOf(perSecond, load, redisSeen, bareSeen);
        done.push(sample);
        say(`b ${i}/${rounds} ${perSecond}/s: visible p50 ${sample.visible.p50Ms} p99 ${sample.visible.p99Ms} max ${sample.visible.maxMs} ms; floor p50 ${sample.floor.p50Ms} p99 ${sample.floor.p99Ms} max ${sample.floor.maxMs} ms`);
      }
    }
  } finally {
    watcher.disconnect();
    await end(bare, 'SIGKILL');
  }
  return { warmUpSeconds, rounds: done, medians: Object.fromEntries(rates.map((rate) => [rate, mediansOf(done.filter(({ perSecond }) => perSecond === rate))])) };
}

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

async function watchRedis(stack: RealStack, seen: Seen) {
  const admin = stack.redis();
  await admin.config('SET', 'notify-keyspace-events', 'K$');
  admin.disconnect();
  const watcher = stack.redis();
  await watcher.psubscribe(`__keyspace@0__:${stack.settings.REDIS_KEY_PREFIX}order:*`);
  watcher.on('pmessage', (_pattern: string, channel: string) => {
    const id = Number(channel.slice(channel.lastIndexOf(':') + 1));
    if (!seen.has(id)) seen.set(id, nowUs());
  });
  return watcher;
}

async function watchTopic({ settings }: RealStack, seen: Seen) {
  const child = forkBare({ mode: 'see', brokers: [`127.0.0.1:${settings.KAFKA_PORT}`], topic: `${settings.TOPIC_PREFIX}.public.orders`, warmUp: 0, events: 0 });
  await new Promise<void>((resolve, reject) => {
    child.on('message', (message: BareMessage) => {
      if (message.at === 'ready') resolve();
      if (message.at === 'seen') message.ids.forEach((id, i) => seen.has(id) || seen.set(id, message.us[i]!));
    });
    child.once('exit', (code) => reject(new Error(`the bare consumer ended with ${code}`)));
  });
  return child;
}

export function runLoad(stack: Pick<RealStack, 'env'>, task: LoadTask): Promise<LoadDone> {
  const child = fork(inProject('scripts/bench/order-load.ts'), [JSON.stringify(task)], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...stack.env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (done: LoadDone) => resolve(done));
    child.once('disconnect', () => reject(new Error('the load ended without a word'))); // after its last message, as `exit` need not be
  });
}

async function arrival(ids: number[], everywhere: Seen[]): Promise<void> {
  for (const deadline = performance.now() + arrivalBudgetMs; performance.now() < deadline; await delay(50)) {
    if (everywhere.every((seen) => ids.every((id) => seen.has(id)))) return;
  }
  throw new Error(`not every order was seen within ${arrivalBudgetMs} ms`);
}

function sampleOf(perSecond: number, { ids, dueUs, committedUs }: LoadDone, visible: Seen, floor: Seen): LatencySample {
  const since = (seen: Seen): Spread => spread(ids.map((id, i) => seen.get(id)! - committedUs[i]!));
  return { perSecond, events: ids.length, visible: since(visible), floor: since(floor), commit: spread(committedUs.map((us, i) => us - dueUs[i]!)) };
}

export const spread = (us: number[]): Spread => ({
  p50Ms: round(percentile(us, 50) / 1000, 1),
  p99Ms: round(percentile(us, 99) / 1000, 1),
  maxMs: round(percentile(us, 100) / 1000, 1),
});

function mediansOf(samples: LatencySample[]): LatencyResult['medians'][string] {
  const of = (part: 'visible' | 'floor' | 'commit'): Spread => ({
    p50Ms: median(samples.map((sample) => sample[part].p50Ms)),
    p99Ms: median(samples.map((sample) => sample[part].p99Ms)),
    maxMs: median(samples.map((sample) => sample[part].maxMs)),
  });
  return { visible: of('visible'), floor: of('floor'), commit: of('commit') };
}

export const latencyTable = ({ medians }: LatencyResult): string =>
  table(
    ['events/s', 'visible p50', 'p99', 'max (ms)', 'floor p50', 'p99', 'max (ms)'],
    Object.entries(medians).map(([rate, { visible, floor }]) => [rate, visible.p50Ms, visible.p99Ms, visible.maxMs, floor.p50Ms, floor.p99Ms, floor.maxMs]),
  );
