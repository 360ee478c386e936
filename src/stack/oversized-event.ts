/**
 * Why the connector stops at an event that is larger than EVENT_BYTES_MAX: its size and limit from the task's trace or Connect's
 * log, its table from the log alone. Invariant: bounded reading; what was before the task's last start is not told.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { settings } from '../config.ts';

export interface OversizedEvent {
  /** Null when only the trace is known: it does not say. */
  topic: string | null;
  bytes: number;
  bytesMax: number;
}

const MiB = 1024 * 1024;
const settingMax = settings.EVENT_BYTES_MAX.unwrap().maxValue ?? 0;

/** What a person is told: what, how large, and the setting with a value that suffices for an update too. */
export function describeOversized({ topic, bytes, bytesMax }: OversizedEvent): string {
  const table = topic === null ? 'a table (Connect\u2019s log names it)' : topic.slice(topic.lastIndexOf('.') + 1);
  const enough = Math.min(settingMax, Math.ceil((2 * bytes) / MiB) * MiB);
  const advice = bytes > settingMax ? `no setting allows more than ${settingMax}` : `start again with EVENT_BYTES_MAX=${enough}, nothing is lost until then`;
  return `a change of ${table} is ${bytes} bytes, the limit EVENT_BYTES_MAX is ${bytesMax}: ${advice}`;
}

const tailBytes = MiB;
const taskStarted = /finished initialization and start/g;
const refused = /failed to send record to (\S+):.*\n.*RecordTooLargeException: The message is (\d+) bytes when serialized which is larger than (\d+),/;
const tooLarge = /RecordTooLargeException: The message is (\d+) bytes when serialized which is larger than (\d+),/;

/** `log` may begin anywhere; `traces`: of failed tasks. */
export function findOversizedEvent(log: string, traces: string[]): OversizedEvent | null {
  const started = [...log.matchAll(taskStarted)].at(-1)?.index ?? 0;
  const [, topic, bytes, bytesMax] = refused.exec(log.slice(started)) ?? [];
  if (topic !== undefined) return { topic, bytes: Number(bytes), bytesMax: Number(bytesMax) };
  for (const trace of traces) {
    const [, size, limit] = tooLarge.exec(trace) ?? [];
    if (size !== undefined) return { topic: null, bytes: Number(size), bytesMax: Number(limit) };
  }
  return null;
}

/** The end of a log; empty when there is none. */
export function readTail(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    const tail = Buffer.alloc(Math.min(size, tailBytes));
    return tail.toString('utf8', 0, readSync(file, tail, 0, tail.length, size - tail.length));
  } catch {
    return ''; // another program's log: what cannot be read says nothing
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
