/** Part a: how fast a filled topic is applied, beside the floor, in interleaved runs. */
import { median, round, table } from './figures.ts';
import type { Lab } from './lab.ts';
import { runApply, runFloor, type RunSample, type Workload } from './runs.ts';

interface Round {
  floor: RunSample;
  apply: Record<string, RunSample>;
}

export interface ApplyResult {
  workload: Workload;
  rounds: Round[];
  /** By kind of Redis: medians over the rounds; a ratio is taken within its round. */
  medians: Record<string, { redis: string; eventsPerSecond: number; ofFloor: number; eventsPerCpuSecond: number; consumerUs: number; redisUs: number }>;
  floor: { eventsPerSecond: number; eventsPerCpuSecond: number };
}

export async function measureApply(lab: Lab, workload: Workload, rounds: number, say: (text: string) => void): Promise<ApplyResult> {
  const done: Round[] = [];
  for (let i = 1; i <= rounds; i += 1) {
    const floor = await runFloor(lab, workload);
    say(`a ${i}/${rounds} floor: ${round(floor.eventsPerSecond)} events/s`);
    const apply: Record<string, RunSample> = {};
    for (const redis of lab.redis) {
      const sample = (apply[redis.kind] = await runApply(lab, redis, workload));
      say(`a ${i}/${rounds} ${redis.version}: ${round(sample.eventsPerSecond)} events/s, ${round(sample.eventsPerSecond / floor.eventsPerSecond, 2)} of the floor`);
    }
    done.push({ floor, apply });
  }
  return { workload, rounds: done, medians: mediansOf(lab, done, workload), floor: floorOf(done, workload) };
}

const measured = ({ events, warmUp }: Workload): number => events - warmUp;

function mediansOf(lab: Lab, rounds: Round[], workload: Workload): ApplyResult['medians'] {
  const of = (kind: string, value: (apply: RunSample, floor: RunSample) => number): number => median(rounds.map(({ apply, floor }) => value(apply[kind]!, floor)));
  return Object.fromEntries(
    lab.redis.map(({ kind, version }) => [
      kind,
      {
        redis: version,
        eventsPerSecond: round(of(kind, (apply) => apply.eventsPerSecond)),
        ofFloor: round(of(kind, (apply, floor) => apply.eventsPerSecond / floor.eventsPerSecond), 3),
        eventsPerCpuSecond: round(of(kind, (apply) => measured(workload) / (apply.consumerCpu + apply.redisCpu))),
        consumerUs: round(of(kind, (apply) => (apply.consumerCpu / measured(workload)) * 1e6), 1),
        redisUs: round(of(kind, (apply) => (apply.redisCpu / measured(workload)) * 1e6), 1),
      },
    ]),
  );
}

const floorOf = (rounds: Round[], workload: Workload): ApplyResult['floor'] => ({
  eventsPerSecond: round(median(rounds.map(({ floor }) => floor.eventsPerSecond))),
  eventsPerCpuSecond: round(median(rounds.map(({ floor }) => measured(workload) / floor.consumerCpu))),
});

export const applyTable = ({ medians, floor }: ApplyResult): string =>
  table(
    ['', 'events/s', 'of the floor', 'events per CPU second', 'consumer µs/event', 'Redis µs/event'],
    [
      ['floor', floor.eventsPerSecond, 1, floor.eventsPerCpuSecond, '', ''],
      ...Object.values(medians).map((one) => [one.redis, one.eventsPerSecond, one.ofFloor, one.eventsPerCpuSecond, one.consumerUs, one.redisUs]),
    ],
  );
