/**
 * Writes one atomic change of the replica as the two streams commit.lua reads, and reads its answer.
 * Invariant: the order here is the order there.
 */
import { PipelineError } from '../domain/errors.ts';
import type { WritePlan } from '../domain/fold.ts';
import { names, type Keys } from '../domain/keys.ts';
import type { PartitionRef } from '../domain/topics.ts';

/** What must still be so in Redis; absent is the empty text. */
export interface Expectations {
  fields: [hash: string, field: string, value: string][];
  strings: [key: string, value: string][];
}

/** Under what a consumer works on a partition. */
export interface Fence extends PartitionRef {
  /** Stored `cdc:offset:…`; null when nothing was ever applied. */
  offset: bigint | null;
  epoch: number;
  /** Rules under which the replica is computed. */
  spec: string;
}

/** Where the fence stands after a batch. */
export interface Advance {
  /** Offset of the last record of the batch. */
  lastOffset: bigint;
  /** Fingerprint of that record: what must be found there at the next assignment. */
  fingerprint: string;
  /** Kafka's time of that record, milliseconds. */
  recordMs: string;
}

export interface Commit {
  expect: Expectations;
  /** Rows and what they add up to. */
  plan?: { writes: WritePlan; table: string; changesMax: number };
  /** Plain keys to set, beside the rows. */
  strings?: [key: string, value: string][];
  /** Keys to remove, beside the rows. */
  removed?: string[];
  fields?: [hash: string, field: string, value: string][];
}

export type CommitReply =
  | { result: 'applied' }
  /** Something is not as expected: `key` holds `found`. Nothing was changed. */
  | { result: 'stale'; key: string; found: string }
  /** A counter would leave int64; nothing was changed. */
  | { result: 'overflow'; counter: string };

const keysPerCall = 500;

interface Script {
  keys: string[];
  args: (string | number)[];
}

/** The fence as expectations: the epoch first, so that another owner is told as such. */
export function expectFence(keys: Keys, { topic, partition, offset, epoch, spec }: Fence): Expectations {
  return {
    fields: [
      [keys.owner(topic, partition), 'epoch', String(epoch)],
      [keys.pipeline, 'spec', spec],
    ],
    strings: [[keys.offset(topic, partition), offset === null ? '' : String(offset)]],
  };
}

/** The writes that move the fence. */
export function moveFence(keys: Keys, { topic, partition }: PartitionRef, { lastOffset, fingerprint, recordMs }: Advance): Required<Pick<Commit, 'strings' | 'fields'>> {
  const owner = keys.owner(topic, partition);
  return {
    strings: [[keys.offset(topic, partition), String(lastOffset + 1n)]],
    fields: [
      [owner, 'last', fingerprint],
      [owner, 'ts_ms', recordMs],
    ],
  };
}

/** Keys and arguments of commit.lua. */
export function encodeCommit(keys: Keys, { expect, plan, strings = [], removed = [], fields = [] }: Commit): Script {
  const script: Script = { keys: [], args: [] };
  const marks = plan ? [...plan.writes.marks].map(([id, mark]) => ({ key: keys.parkedMark(plan.table, id), ...mark })) : [];
  encodeFields(script, expect.fields);
  encodePairs(script, [...expect.strings, ...marks.map(({ key, before }): [string, string] => [key, before])]);
  encodePairs(script, plan && plan.writes.changes.length > 0 ? [[keys.changes(plan.table), 'stream']] : []);
  if (plan) encodeMembers(script, keys, plan.writes);
  else script.args.push(0);
  if (plan) encodeCounters(script, keys, plan.writes);
  else script.args.push(0, 0);
  const rows = [...(plan?.writes.rows ?? [])].map(([name, text]): [string, string] => [keys.of(name), text]);
  const set = marks.flatMap(({ key, after }): [string, string][] => (after === '' ? [] : [[key, after]]));
  encodeSlices(script, [...rows, ...strings, ...set], ([key, value]) => {
    script.keys.push(key);
    script.args.push(value);
  });
  const gone = [...(plan?.writes.deletes ?? [])].map(keys.of);
  const closed = marks.flatMap(({ told }, i) => (told === 'closed' ? [keys.parked(plan!.table, [...plan!.writes.marks.keys()][i]!)] : []));
  const unparked = marks.flatMap(({ key, after }) => (after === '' ? [key] : [])).concat(plan ? [...plan.writes.unparked.keys()].map((id) => keys.parkedMark(plan.table, id)) : []);
  encodeSlices(script, [...gone, ...removed, ...unparked, ...closed], (key) => script.keys.push(key));
  if (plan) {
    encodeParked(script, keys, plan.writes, plan.table);
    encodeMaxima(script, keys, plan.writes, plan.table);
    encodeChanges(script, keys, plan);
  } else script.args.push(0, 0, 0);
  encodeFields(script, fields);
  return script;
}

/** Throws PipelineError `redis_refused` when a key holds another type, TypeError when the answer is unknown. */
export function decodeReply(reply: unknown): CommitReply {
  const [kind, first = '', second = ''] = reply as string[];
  switch (kind) {
    case 'ok':
      return { result: 'applied' };
    case 'stale':
      return { result: 'stale', key: first, found: second };
    case 'overflow':
      return { result: 'overflow', counter: first };
    case 'type':
      throw new PipelineError('redis_refused', `${first} is a ${second}: something else wrote where the replica writes`);
    default:
      throw new TypeError(`commit.lua answered ${String(kind)}`);
  }
}

function encodeFields(script: Script, fields: [hash: string, field: string, value: string][]): void {
  script.args.push(fields.length);
  for (const [hash, field, value] of fields) {
    script.keys.push(hash);
    script.args.push(field, value);
  }
}

function encodePairs(script: Script, pairs: [key: string, value: string][]): void {
  script.args.push(pairs.length);
  for (const [key, value] of pairs) {
    script.keys.push(key);
    script.args.push(value);
  }
}

function encodeCounters(script: Script, keys: Keys, writes: WritePlan): void {
  const hashes: [string, [string, string][]][] = [];
  for (const [hash, fields] of writes.counters) {
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
  encodePairs(script, writes.eventCount === 0 ? [] : [[keys.statsTotal, String(writes.eventCount)]]);
}

function encodeSlices<T>(script: Script, items: T[], encode: (item: T) => void): void {
  script.args.push(Math.ceil(items.length / keysPerCall));
  for (let from = 0; from < items.length; from += keysPerCall) {
    const slice = items.slice(from, from + keysPerCall);
    script.args.push(slice.length);
    for (const item of slice) encode(item);
  }
}

/** An unknown offset does not overwrite a known one; a delete is told only where the key is parked. */
function encodeParked(script: Script, keys: Keys, { marks, unparked }: WritePlan, table: string): void {
  const told: [id: string, offset: bigint, when: string][] = [...unparked].map(([id, offset]) => [id, offset, 'XX']);
  for (const [id, mark] of marks) if (mark.told !== 'closed') told.push([id, mark.told ?? -1n, mark.told === null ? 'NX' : '']);
  script.args.push(told.length);
  for (const [id, offset, when] of told) {
    script.keys.push(keys.parked(table, id));
    script.args.push(String(offset), when);
  }
}

function encodeMembers(script: Script, keys: Keys, writes: WritePlan): void {
  script.args.push(writes.members.size);
  for (const [zset, members] of writes.members) {
    script.keys.push(keys.of(zset));
    script.args.push(members.size);
    for (const [member, score] of members) script.args.push(score === null ? '' : score, member);
  }
}

function encodeMaxima(script: Script, keys: Keys, { lastLsn, lastCommitMs }: WritePlan, table: string): void {
  const maxima: [string, string][] = [];
  if (lastLsn !== null) maxima.push(['last_lsn', lastLsn]);
  if (lastCommitMs !== null) maxima.push(['last_ts_ms', String(lastCommitMs)]);
  encodeFields(script, maxima.map(([field, value]) => [keys.of(names.stats(table)), field, value]));
}

function encodeChanges(script: Script, keys: Keys, { writes, table, changesMax }: NonNullable<Commit['plan']>): void {
  script.args.push(writes.changes.length > 0 ? 1 : 0);
  if (writes.changes.length === 0) return;
  script.keys.push(keys.changes(table));
  script.args.push(changesMax, writes.changes.length);
  for (const change of writes.changes) script.args.push(change.op, change.key, String(change.offset), change.lsn, change.columns.join(','));
}
