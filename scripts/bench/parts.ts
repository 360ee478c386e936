/** Which parts there are, how large each is, and what they share: one lab, one filled topic. */
import { fillOrders } from './topic.ts';
import { applyTable, measureApply } from './apply-stage.ts';
import { batchEtlTable, measureBatchEtl } from './batch-etl.ts';
import { fenceCostTable, measureFenceCost } from './fence-cost.ts';
import { measureProfile, profileTable } from './profile.ts';
import { measureMemory, memoryTable } from './memory.ts';
import { measureSnapshots, snapshotTable } from './real-stack.ts';
import { measureVerify, verifyTable } from './verify-cost.ts';
import { latencyTable, measureLatency } from './latency.ts';
import { round } from './figures.ts';
import { measureStream, streamTable } from './stream.ts';
import { startLab } from './lab.ts';
import { describeMachine, type Machine } from './machine.ts';

export interface BenchOptions {
  /** None = all. */
  parts: string[];
  quick: boolean;
  redisFile: string | undefined;
  say: (text: string) => void;
  /** Hears each part as soon as it is measured. */
  done: (result: PartResult) => void;
}

export interface PartResult {
  part: string;
  /** Everything, raw samples too. */
  report: { part: string; machine: Machine; startedAt: string; quick: boolean; result: unknown };
  /** Markdown. */
  text: string;
}

export async function runParts({ parts, quick, redisFile, say, done }: BenchOptions): Promise<void> {
  const machine = describeMachine();
  const startedAt = new Date().toISOString();
  const add = (part: string, result: unknown, text: string): void => {
    done({ part, report: { part, machine, startedAt, quick, result }, text });
  };
  const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
  if (['a', 'd', 'e', 'f'].some(wanted)) {
    const lab = await startLab(redisFile);
    try {
      const size = quick ? { warmUp: 20_000, events: 80_000 } : { warmUp: 50_000, events: 550_000 };
      const workload = ['a', 'f'].some(wanted) ? await fillOrders(lab, size, say) : null;
      if (workload && wanted('a')) {
        const result = await measureApply(lab, workload, quick ? 1 : 3, say);
        add('a', result, applyTable(result));
      }
      if (workload && wanted('f')) {
        const result = await measureProfile(lab, lab.redis[0]!, workload, 'cdc-consumer');
        add('f', result, profileTable(result));
      }
      if (wanted('d')) {
        const result = await measureFenceCost(lab, lab.redis[0]!, quick ? 40_000 : 200_000, quick ? 1 : 5);
        add('d', result, fenceCostTable(result));
      }
      if (wanted('e')) {
        const result = await measureMemory(lab, lab.redis.at(-1)!, quick ? 150_000 : 5_000_000);
        add('e', result, memoryTable(result));
      }
    } finally {
      await lab.stop();
    }
  }
  if (['b', 'c'].some(wanted)) {
    await measureSnapshots(quick ? 20_000 : 200_000, wanted('c') && !quick ? 3 : 1, async (stack, rounds) => {
      for (const { rows, rowsPerSecond } of rounds) say(`c ${rows} rows: ${round(rowsPerSecond)} rows/s`);
      if (wanted('c')) add('c', { rounds }, snapshotTable(rounds));
      if (wanted('b')) {
        const result = await measureLatency(stack, { rates: [200, 1000], rounds: quick ? 1 : 3, seconds: quick ? 5 : 30, warmUpSeconds: quick ? 5 : 20 }, say);
        add('b', result, latencyTable(result));
      }
    });
  }
  if (wanted('g')) {
    const result = await measureBatchEtl(quick ? { orders: 50_000, rounds: 2 } : { orders: 1_000_000, rounds: 5 }, say);
    add('g', result, batchEtlTable(result));
  }
  if (wanted('h')) {
    const result = await measureStream(quick, say);
    add('h', result, streamTable(result));
  }
  if (wanted('i')) {
    const result = await measureVerify(quick ? { orders: 5_000, rounds: 1, ordersPerSecond: 20 } : { orders: 250_000, rounds: 3, ordersPerSecond: 50 }, say);
    add('i', result, verifyTable(result));
  }
}
