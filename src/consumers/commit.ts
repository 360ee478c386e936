/**
 * Writes one batch's plan and its fence as the two streams commit.lua reads, and reads its answer.
 * Invariant: the order here is the order there.
 */
import { PipelineError } from '../domain/errors.ts';
import type { WritePlan } from '../domain/fold.ts';
import { names, type Keys } from '../domain/keys.ts';
import type { Table } from '../domain/tables/table.ts';

/** What must still be true in Redis for a batch to be applied. */
export interface Fence {
  topic: string;
  partition: number;
  /** Stored `cdc:offset:…`; null when nothing was ever applied. */
  offset: bigint | null;
  epoch: number;
  /** Fields of the pipeline hash and the values this consumer works under; '' = absent. */
  guards: Record<string, string>;
}

/** Where the fence stands after the batch. */
export interface Advance {
  /** Offset of the last record of the batch. */
  lastOffset: bigint;
  /** Fingerprint of that record: what must be found there at the next assignment. */
  fingerprint: string;
  /** Kafka's time of that record, milliseconds. */
  recordMs: string;
}

export interface CommitInput {
  keys: Keys;
  fence: Fence;
  advance: Advance;
  plan: WritePlan;
  table: Table;
  changesMax: number;
}

export type CommitReply =
  | { result: 'applied' }
  /** The fence differs: `offset` and `epoch` are what is stored. */
  | { result: 'fenced'; offset: bigint | null; epoch: number }
  | { result: 'guarded'; field: string }
  /** A counter would leave int64; nothing was changed. */
  | { result: 'overflow'; counter: string };

const rowsPerCall = 500;

interface Script {
  keys: string[];
  args: (string | number)[];
}

/** Keys and arguments of commit.lua for a table's batch. */
export function encodeCommit({ keys, fence, advance, plan, table, changesMax }: CommitInput): Script {
  const script: Script = { keys: [], args: [] };
  encodeFence(script, keys, fence);
  encodeTypes(script, keys, plan, table);
  encodeCounters(script, keys, plan);
  encodeSets(
    script,
    [...plan.rows].map(([name, text]) => [keys.of(name), text]),
  );
  script.args.push(plan.parked.size);
  for (const [id, offset] of plan.parked) {
    script.keys.push(keys.parked(table.name, id));
    script.args.push(String(offset));
  }
  script.args.push(plan.deletes.size);
  for (const [name, { id, offset }] of plan.deletes) {
    script.keys.push(keys.of(name), keys.parked(table.name, id));
    script.args.push(String(offset));
  }
  script.args.push(plan.members.size);
  for (const [zset, members] of plan.members) {
    script.keys.push(keys.of(zset));
    script.args.push(members.size);
    for (const [member, score] of members) script.args.push(score === null ? '' : score, member);
  }
  encodeMaxima(script, keys, plan, table);
  script.args.push(plan.changes.length > 0 ? 1 : 0);
  if (plan.changes.length > 0) {
    script.keys.push(keys.changes(table.name));
    script.args.push(changesMax, plan.changes.length);
    for (const change of plan.changes) script.args.push(change.op, change.key, String(change.offset), change.lsn, change.columns.join(','));
  }
  encodeAdvance(script, advance);
  return script;
}

/** Keys and arguments that set plain keys together with the fence (the heartbeat row). */
export function encodeSetCommit(keys: Keys, fence: Fence, advance: Advance, sets: [key: string, value: string][]): Script {
  const script: Script = { keys: [], args: [] };
  encodeFence(script, keys, fence);
  script.args.push(0, 0, 0);
  encodeSets(script, sets);
  script.args.push(0, 0, 0, 0, 0);
  encodeAdvance(script, advance);
  return script;
}

/** Throws PipelineError `redis_refused` when a key holds another type, TypeError when the answer is unknown. */
export function decodeReply(reply: unknown): CommitReply {
  const [kind, first = '', second = ''] = reply as string[];
  switch (kind) {
    case 'ok':
      return { result: 'applied' };
    case 'fence':
      return { result: 'fenced', offset: first === '' ? null : BigInt(first), epoch: Number(second) };
    case 'guard':
      return { result: 'guarded', field: first };
    case 'overflow':
      return { result: 'overflow', counter: first };
    case 'type':
      throw new PipelineError('redis_refused', `${first} is a ${second}: something else wrote where the replica writes`);
    default:
      throw new TypeError(`commit.lua answered ${String(kind)}`);
  }
}

function encodeFence(script: Script, keys: Keys, fence: Fence): void {
  script.keys.push(keys.offset(fence.topic, fence.partition), keys.owner(fence.topic, fence.partition), keys.pipeline);
  script.args.push(fence.offset === null ? '' : String(fence.offset), fence.epoch, Object.keys(fence.guards).length);
  for (const [field, value] of Object.entries(fence.guards)) script.args.push(field, value);
}

function encodeTypes(script: Script, keys: Keys, plan: WritePlan, table: Table): void {
  const streams = plan.changes.length > 0 ? [keys.changes(table.name)] : [];
  script.args.push(plan.members.size + streams.length);
  for (const zset of plan.members.keys()) {
    script.keys.push(keys.of(zset));
    script.args.push('zset');
  }
  for (const stream of streams) {
    script.keys.push(stream);
    script.args.push('stream');
  }
}

function encodeCounters(script: Script, keys: Keys, plan: WritePlan): void {
  const hashes: [string, [string, string][]][] = [];
  for (const [hash, fields] of plan.counters) {
    const moved: [string, string][] = [];
    for (const [field, amount] of fields) if (amount !== 0) moved.push([field, String(amount)]);
    if (moved.length > 0) hashes.push([hash, moved]);
  }
  script.args.push(hashes.length);
  for (const [hash, fields] of hashes) {
    script.keys.push(keys.of(hash));
    script.args.push(fields.length);
    for (const [field, amount] of fields) script.args.push(field, amount);
  }
  script.args.push(plan.eventCount > 0 ? 1 : 0);
  if (plan.eventCount > 0) {
    script.keys.push(keys.statsTotal);
    script.args.push(plan.eventCount);
  }
}

function encodeSets(script: Script, sets: [key: string, value: string][]): void {
  script.args.push(Math.ceil(sets.length / rowsPerCall));
  for (let from = 0; from < sets.length; from += rowsPerCall) {
    const slice = sets.slice(from, from + rowsPerCall);
    script.args.push(slice.length);
    for (const [key, value] of slice) {
      script.keys.push(key);
      script.args.push(value);
    }
  }
}

function encodeMaxima(script: Script, keys: Keys, plan: WritePlan, table: Table): void {
  const maxima = [
    ['last_lsn', plan.lastLsn],
    ['last_ts_ms', plan.lastCommitMs],
  ].filter(([, value]) => value !== null);
  script.args.push(maxima.length);
  for (const [field, value] of maxima) {
    script.keys.push(keys.of(names.stats(table.name)));
    script.args.push(String(field), String(value));
  }
}

function encodeAdvance(script: Script, advance: Advance): void {
  script.args.push(String(advance.lastOffset + 1n), advance.fingerprint, advance.recordMs);
}
