/**
 * What a supervisor tells the rest of the world: run/stack.json. Always whole (written aside, then renamed), and every
 * pid comes with its start time, so that a number the kernel has given to somebody else is never taken for ours.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { consumersMax } from '../config.ts';
import { errnoOf } from './errno.ts';

export type ConsumerName = 'cdc-consumer' | `cdc-consumer-${number}`;
export type ProcessName = 'postgres' | 'kafka' | 'connect' | 'redis' | 'temporal' | ConsumerName | 'stream-consumer' | 'alerts-consumer' | 'worker' | 'generator';

/** cdc-consumer, cdc-consumer-2, … */
export const consumerNames = (count: number): ConsumerName[] => Array.from({ length: count }, (_, i): ConsumerName => (i === 0 ? 'cdc-consumer' : `cdc-consumer-${i + 1}`));

/** In the order in which `status` shows them; as many consumers as there may ever be. */
export const processNames: readonly ProcessName[] = ['postgres', 'kafka', 'connect', 'redis', 'temporal', ...consumerNames(consumersMax), 'stream-consumer', 'alerts-consumer', 'worker', 'generator'];

const identity = z.object({ pid: z.number(), startTime: z.string() });
/** `paused`: on request, by whoever watches the stack. */
const processState = z.enum(['starting', 'running', 'restarting', 'failed', 'stopped', 'paused']);
const processSchema = z.object({
  name: z.enum(processNames),
  pid: z.number().nullable(),
  startTime: z.string().nullable(),
  ports: z.array(z.number()),
  state: processState,
  restarts: z.number(),
});
const stackSchema = z.object({
  supervisor: identity,
  /** True once the first change has been seen travelling the whole pipeline. */
  proven: z.boolean(),
  processes: z.array(processSchema),
});

export type ProcessIdentity = z.infer<typeof identity>;
export type ProcessState = z.infer<typeof processState>;
export type ProcessRecord = z.infer<typeof processSchema>;
export type StackRecord = z.infer<typeof stackSchema>;

/** The record of a program whose turn to start has not come. */
export const unstarted = (name: ProcessName): ProcessRecord => ({ name, pid: null, startTime: null, ports: [], state: 'starting', restarts: 0 });

/** Null when there is none, or none that can be read: a file cut short by a power failure must not stop the next start. */
export function readStackRecord(path: string): StackRecord | null {
  try {
    return stackSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}

export function writeStackRecord(path: string, record: StackRecord): void {
  writeAtomically(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** A reader sees the old text or the new one. Mode 0600. */
export function writeAtomically(path: string, text: string): void {
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, path);
}

/** The kernel's start time of a live process, in ticks since boot; null when there is no such process (or a zombie). */
export function startTimeOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

export function identityOf(pid: number): ProcessIdentity | null {
  const startTime = startTimeOf(pid);
  return startTime === null ? null : { pid, startTime };
}

export const isAlive = ({ pid, startTime }: { pid: number | null; startTime: string | null }): boolean =>
  pid !== null && startTime !== null && startTimeOf(pid) === startTime;
