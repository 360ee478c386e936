/** One server away and back: the same consumer goes on, what was missing was said, and the replica is exact. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { assertRecovered, processOf, takeAway, untilApplying, type Server, type Way } from './faults.ts';
import { until, type TestStack } from './stack.ts';

/** What `sluice status` says of each server that does not answer, dead or frozen. */
const problems: Record<Server, RegExp> = {
  postgres: /postgres restarting|replication slot unknown/,
  kafka: /kafka restarting|lag unknown/,
  connect: /connect restarting|connector UNKNOWN/,
  redis: /redis restarting|heartbeat unknown/,
};
/** What the consumer says when it stands still itself. A frozen Kafka is silent for as long as a request may take. */
const waits: Partial<Record<Server, (way: Way) => RegExp | null>> = {
  redis: () => /waiting for Redis/,
  kafka: (way) => (way === 'freeze' ? null : /consumer session ended; waiting|waiting for Kafka/),
};
/** A server that is away for less than this may be back before the consumer or the status has noticed. */
const noticeMs = 10_000;

export async function surviveAbsence(t: TestContext, stack: TestStack, { server, way, awayMs }: { server: Server; way: Way; awayMs: number }): Promise<void> {
  const before = await processOf(stack, 'cdc-consumer');
  const logged = stack.logOf('cdc-consumer').length;
  await takeAway(t, stack, {
    server,
    way,
    awayMs,
    meanwhile: async () => {
      await until(`status says that ${server} is away`, async () => problems[server].test((await stack.status()).problems.join('; ')), noticeMs);
      const said = waits[server]?.(way);
      if (said) await until(`the consumer says that it waits for ${server}`, async () => said.test(stack.logOf('cdc-consumer').slice(logged)), 60_000);
    },
  });
  const backMs = performance.now();
  const sinceBack = (): string => `${((performance.now() - backMs) / 1000).toFixed(1)} s`;
  await untilApplying(stack, 180_000);
  t.diagnostic(`changes are applied again ${sinceBack()} after ${server} runs again`);
  await assertRecovered(stack);
  t.diagnostic(`healthy and verified ${sinceBack()} after ${server} runs again`);
  const { pid, restarts } = await processOf(stack, 'cdc-consumer');
  assert.deepEqual([pid, restarts], [before.pid, before.restarts], 'the same consumer process');
}
