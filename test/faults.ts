/**
 * What the chaos scenarios share: choices that a seed repeats, servers taken away and given back, and the report of each
 * fault, made only after the fault was seen. `scripts/chaos.ts` fails a test that reported none.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startTimeOf } from '../src/stack/state-file.ts';
import { assertVerified, until, type StackStatus, type TestStack } from './stack.ts';

export const servers = ['postgres', 'kafka', 'connect', 'redis'] as const;
export type Server = (typeof servers)[number];

/** `stop`: asked to end, its own way. `kill`: SIGKILL. `freeze`: SIGSTOP, later SIGCONT. */
export const ways = ['stop', 'kill', 'freeze'] as const;
export type Way = (typeof ways)[number];

/** What is chosen depends on the seed of the run, the scenario's name and the order of the questions, on nothing else. */
export function seededChoices(scenario: string) {
  const seed = Number(process.env['SLUICE_CHAOS_SEED'] ?? 1);
  let asked = 0;
  const fraction = (): number => createHash('sha256').update(`${seed} ${scenario} ${(asked += 1)}`).digest().readUInt32BE() / 2 ** 32;
  return {
    seed,
    /** From `low` to `high`, both inclusive. */
    between: (low: number, high: number): number => low + Math.floor(fraction() * (high - low + 1)),
    pick: <T>(list: readonly T[]): T => list[Math.floor(fraction() * list.length)]!,
  };
}

/** Reports a fault. To be called when it was seen, never before. */
export const landed = (t: TestContext, fault: string): void => t.diagnostic(`landed: ${fault}`);

export type ProcessStatus = StackStatus['processes'][number];
export const processOf = async (stack: TestStack, name: string): Promise<ProcessStatus> => (await stack.status()).processes.find((one) => one.name === name)!;

/** The consumers that the supervisor runs: one, or as many as SLUICE_CDC_CONSUMERS says. */
export const consumersOf = async (stack: TestStack): Promise<ProcessStatus[]> => (await stack.status()).processes.filter(({ name }) => name.startsWith('cdc-consumer'));

/** Events applied so far. */
export const applied = async (stack: TestStack): Promise<number> => Number((await stack.redis.strings([stack.keys.statsTotal]))[0] ?? 0);

export async function untilApplying(stack: TestStack, deadlineMs = 120_000): Promise<void> {
  const before = await applied(stack);
  await until('changes are applied again', async () => (await applied(stack)) > before, deadlineMs);
}

/** Asserts what every scenario ends with: the stack healthy, the replica exact. */
export async function assertRecovered(stack: TestStack): Promise<void> {
  let problems: string[] = [];
  await until('the stack is healthy', async () => (problems = (await stack.status()).problems).length === 0, 180_000, 500).catch((error: Error) => {
    throw new Error(`${error.message}: ${problems.join('; ')}`);
  });
  await assertVerified(stack);
}

interface Absence {
  server: Server | 'temporal';
  way: Way;
  awayMs: number;
  /** While it is away; the server's state can be looked at, and its files changed when it does not run. */
  meanwhile?: () => Promise<void>;
}

/** Takes a server away, keeps it away, gives it back; resolves when the supervisor calls it running. */
export async function takeAway(t: TestContext, stack: TestStack, { server, way, awayMs, meanwhile = async () => undefined }: Absence): Promise<void> {
  const { pid } = await processOf(stack, server);
  const sinceMs = performance.now();
  if (way === 'freeze') {
    const frozen = familyOf(pid);
    for (const one of frozen) process.kill(one, 'SIGSTOP');
    try {
      await until(`${server} is frozen`, async () => isFrozen(pid));
      landed(t, `${server} frozen for ${awayMs / 1000} s`);
      await meanwhile();
      await delay(Math.max(0, awayMs - (performance.now() - sinceMs)));
    } finally {
      for (const one of frozen) process.kill(one, 'SIGCONT');
    }
    await until(`${server} runs on`, async () => !isFrozen(pid));
    return;
  }
  const hold = join(stack.env['SLUICE_FAILPOINT_DIR']!, `start.${server}`);
  writeFileSync(hold, '');
  try {
    process.kill(pid, way === 'kill' ? 'SIGKILL' : server === 'postgres' ? 'SIGINT' : 'SIGTERM');
    await until(`${server} is gone`, async () => startTimeOf(pid) === null);
    landed(t, `${server} ${way === 'kill' ? 'killed' : 'stopped'}, away for ${awayMs / 1000} s`);
    await meanwhile();
    await delay(Math.max(0, awayMs - (performance.now() - sinceMs)));
    assert.equal((await processOf(stack, server)).pid, null, 'it was away all the time');
  } finally {
    rmSync(hold);
  }
  await until(`${server} runs again`, async () => (await processOf(stack, server)).state === 'running', 120_000);
}

/** The process and its children: a PostgreSQL whose postmaster alone is frozen goes on serving. */
function familyOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => statOf(one)?.[1] === String(pid));
  return [pid, ...children];
}

export const isFrozen = (pid: number): boolean => statOf(pid)?.[0] === 'T';

/** State, parent and so on of a process; null when there is none. */
function statOf(pid: number): string[] | null {
  if (startTimeOf(pid) === null) return null;
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
