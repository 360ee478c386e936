/** How fast the stream consumer applies a filled topic, windows and rules on, beside the CDC consumer and the floor, in interleaved runs. */
import { median, round, table } from './figures.ts';
import type { Lab, LabRedis } from './lab.ts';
import { runApply, runFloor, type RunSample, type Workload } from './runs.ts';

export interface StageResult {
  workload: Workload;
  redis: string;
  rounds: Record<'floor' | 'cdc' | 'stream', RunSample>[];
  /** A ratio is taken within its round. */
  medians: { floor: Figures; cdc: Figures; stream: Figures; ofCdc: number; ofFloor: number };
}

interface Figures {
  eventsPerSecond: number;
  eventsPerCpuSecond: number;
  consumerUs: number;
  redisUs: number;
}

export async function measureStage(lab: Lab, redis: LabRedis, workload: Workload, rounds: number, say: (text: string) => void): Promise<StageResult> {
  const done: StageResult['rounds'] = [];
  for (let i = 1; i <= rounds; i += 1) {
    const floor = await runFloor(lab, workload);
    const cdc = await runApply(lab, redis, workload);
    const stream = await runApply(lab, redis, workload, { program: 'stream-consumer' });
    done.push({ floor, cdc, stream });
    say(`h ${i}/${rounds} floor ${round(floor.eventsPerSecond)}, CDC ${round(cdc.eventsPerSecond)}, stream ${round(stream.eventsPerSecond)} events/s: ${round(stream.eventsPerSecond / cdc.eventsPerSecond, 2)} of CDC`);
  }
  const events = workload.events - workload.warmUp;
  const of = (value: (sample: (typeof done)[number]) => number, digits = 0): number => round(median(done.map(value)), digits);
  const figures = (part: 'floor' | 'cdc' | 'stream'): Figures => ({
    eventsPerSecond: of((one) => one[part].eventsPerSecond),
    eventsPerCpuSecond: of((one) => events / (one[part].consumerCpu + one[part].redisCpu)),
    consumerUs: of((one) => (one[part].consumerCpu / events) * 1e6, 1),
    redisUs: of((one) => (one[part].redisCpu / events) * 1e6, 1),
  });
  const share = (part: 'cdc' | 'floor'): number => of((one) => one.stream.eventsPerSecond / one[part].eventsPerSecond, 3);
  return { workload, redis: redis.version, rounds: done, medians: { floor: figures('floor'), cdc: figures('cdc'), stream: figures('stream'), ofCdc: share('cdc'), ofFloor: share('floor') } };
}

export const stageTable = ({ medians, redis }: StageResult): string =>
  table(
    [redis, 'events/s', 'of CDC', 'of the floor', 'events per CPU second', 'consumer µs/event', 'Redis µs/event'],
    [
      ['floor', medians.floor.eventsPerSecond, '', 1, medians.floor.eventsPerCpuSecond, medians.floor.consumerUs, ''],
      ['CDC', medians.cdc.eventsPerSecond, 1, '', medians.cdc.eventsPerCpuSecond, medians.cdc.consumerUs, medians.cdc.redisUs],
      ['stream', medians.stream.eventsPerSecond, medians.ofCdc, medians.ofFloor, medians.stream.eventsPerCpuSecond, medians.stream.consumerUs, medians.stream.redisUs],
    ],
  );
