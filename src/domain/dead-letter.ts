/**
 * What stands in the headers of the dead-letter topic: letters, and the resolutions that persons gave them.
 * Invariant: every record names the origin it is about, so the topic alone tells what is open and who closed what.
 */
import { partitionName, type PartitionRef } from './topics.ts';

/** The record that could not be applied. */
export interface Origin extends PartitionRef {
  offset: bigint;
  /** Generation of the table when it was rejected: offsets of another one say nothing. */
  generation: number;
}

export interface Letter {
  kind: 'letter';
  origin: Origin;
  reason: string;
  /** Names a column or a counter, never a value. */
  detail: string;
  /** ISO time of the rejection; '' when it was not written. */
  at: string;
  /** Offset of the record that was rejected: the origin's, or that of a replay of it. */
  attemptOffset: bigint;
}

export interface Resolution {
  kind: 'resolution';
  origin: Origin;
  how: 'replayed' | 'discarded';
  /** Who, on which machine account. */
  by: string;
  at: string;
  note: string;
  /** Where the replay was written; null for a discard. */
  replayOffset: bigint | null;
}

/** `<topic>-<partition>-<offset>`, as commands name a letter. */
export const originName = (origin: PartitionRef & { offset: bigint }): string => `${partitionName(origin)}-${origin.offset}`;

/** Headers of a letter or of a resolution. */
export function formatDeadLetter(record: Letter | Resolution): Record<string, string> {
  const { topic, partition, offset, generation } = record.origin;
  const origin = { 'origin-topic': topic, 'origin-partition': String(partition), 'origin-offset': String(offset), 'origin-generation': String(generation) };
  if (record.kind === 'letter') {
    const { reason, detail, at, attemptOffset } = record;
    return { reason, detail, ...origin, at, ...(attemptOffset === offset ? {} : { 'replay-offset': String(attemptOffset) }) };
  }
  const { how, by, at, note, replayOffset } = record;
  return { resolution: how, ...origin, by, at, note, ...(replayOffset === null ? {} : { 'replay-offset': String(replayOffset) }) };
}

/** Null when the headers are neither's. */
export function parseDeadLetter(headers: Record<string, string>): Letter | Resolution | null {
  const integer = (name: string): bigint | null => (/^\d{1,18}$/.test(headers[name] ?? '') ? BigInt(headers[name]!) : null);
  const topic = headers['origin-topic'];
  const partition = integer('origin-partition');
  const offset = integer('origin-offset');
  if (!topic || partition === null || offset === null) return null;
  const origin: Origin = { topic, partition: Number(partition), offset, generation: Number(integer('origin-generation') ?? 0n) };
  const { at = '', reason, detail = '', resolution, by = '', note = '' } = headers;
  if (reason !== undefined) return { kind: 'letter', origin, reason, detail, at, attemptOffset: integer('replay-offset') ?? offset };
  if (resolution === 'discarded') return { kind: 'resolution', origin, how: 'discarded', by, at, note, replayOffset: null };
  const replayOffset = integer('replay-offset');
  if (resolution !== 'replayed' || replayOffset === null) return null;
  return { kind: 'resolution', origin, how: 'replayed', by, at, note, replayOffset };
}
