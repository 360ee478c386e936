/**
 * Writes one atomic change of the replica as the two streams commit.lua reads, and reads its answer.
 * Invariant: the order here is the order there.
 */
import { PipelineError } from '../domain/errors.ts';
import type { WritePlan } from '../domain/fold.ts';
import type { MarkChange } from '../domain/parked.ts';
import type { Keys } from '../domain/keys.ts';
import type { PartitionRef } from '../domain/topics.ts';
import type { Upkeep } from '../domain/upkeep.ts';

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
  upkeep?: Upkeep;
}

export type CommitReply =
  | { result: 'applied' }
  /** Something is not as expected: `key` holds `found`. Nothing was changed. */
  | { result: 'stale'; key: string; found: string }
  /** A counter would leave int64; nothing was changed. */
  | { result: 'overflow'; counter: string };

/** A call of the script takes at most 1,000 arguments. */
const pairsPerCall = 500;
const keysPerCall = 1000;

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
export function encodeCommit(keys: Keys, { expect, plan, strings = [], removed = [], fields = [], upkeep = noUpkeep }: Commit): Script {
  const script: Script = { keys: [], args: [] };
  const marks = plan ? [...plan.writes.marks].map(([id, mark]) => ({ id, key: keys.parkedMark(plan.table, id), ...mark })) : [];
  encodeFields(script, expect.fields);
  encodePairs(script, [...expect.strings, ...marks.map(({ key, before }): [string, string] => [key, before])]);
  encodePairs(script, [
    ...(plan && plan.writes.changes.length > 0 ? [[keys.changes(plan.table), 'stream'] as [string, string]] : []),
    ...upkeep.last.flatMap(({ of }) => of).filter(([, hash]) => !plan?.writes.counters.has(hash)).map(([, hash]): [string, string] => [keys.of(hash), 'hash']),
  ]);
  if (plan) {
    encodeMembers(script, keys, plan.writes);
    encodeCounters(script, keys, plan.writes);
  } else script.args.push(0, 0, 0);
  const set = new Slices(script, pairsPerCall);
  for (const [name, text] of plan?.writes.rows ?? []) set.add(keys.of(name), text);
  for (const [key, value] of strings) set.add(key, value);
  for (const { key, after } of marks) if (after !== '') set.add(key, after);
  const gone = new Slices(script, keysPerCall);
  for (const name of plan?.writes.deletes ?? []) gone.add(keys.of(name));
  for (const key of removed) gone.add(key);
  if (plan) removeMarks(gone, keys, plan.table, plan.writes.unparked, marks);
  if (plan) {
    encodeParked(script, keys, plan.writes, plan.table);
    encodeMaxima(script, keys, plan.writes);
    encodeChanges(script, keys, plan);
  } else script.args.push(0, 0, 0);
  encodeUpkeep(script, keys, upkeep);
  encodeFields(script, fields);
  return script;
}

const noUpkeep: Upkeep = { trimmed: [], last: [], removed: [], lives: new Map(), toldAbove: [], told: [] };

function encodeUpkeep(script: Script, keys: Keys, { trimmed, last, removed, lives, toldAbove, told }: Upkeep): void {
  const { keys: names, args } = script;
  args.push(trimmed.length);
  for (const { hash, below, sets } of trimmed) {
    names.push(keys.of(hash));
    args.push(below, sets.length, ...sets);
    for (const set of sets) names.push(keys.of(set));
  }
  args.push(last.length);
  for (const { fields, of } of last) {
    args.push(...fields, of.length);
    for (const [set, hash] of of) names.push(keys.of(set), keys.of(hash));
  }
  args.push(removed.length);
  for (const { fields, hashes } of removed) {
    args.push(fields.length, ...fields, hashes.length);
    for (const hash of hashes) names.push(keys.of(hash));
  }
  args.push(lives.size);
  for (const [ttlMs, lasting] of lives) {
    args.push(ttlMs, lasting.length);
    for (const name of lasting) names.push(keys.of(name));
  }
  args.push(toldAbove.length);
  for (const { hash, most, sets } of toldAbove) {
    names.push(keys.of(hash));
    args.push(most, sets.length);
    for (const [set, origin, from] of sets) {
      names.push(keys.of(set));
      args.push(set, origin, from);
    }
  }
  encodeFields(script, told.map(([hash, field, value]) => [keys.of(hash), field, value]));
}

function removeMarks(gone: Slices, keys: Keys, table: string, unparked: WritePlan['unparked'], marks: ({ id: string; key: string } & MarkChange)[]): void {
  for (const { id, key, after, told } of marks) {
    if (after === '') gone.add(key);
    if (told === 'closed') gone.add(keys.parked(table, id));
  }
  for (const id of unparked.keys()) gone.add(keys.parkedMark(table, id));
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

/** A block of slices, each preceded by how many it holds; one call of the script takes one slice. */
class Slices {
  readonly #script: Script;
  readonly #most: number;
  readonly #slicesAt: number;
  #countAt = -1;
  #slices = 0;
  #count = 0;

  constructor(script: Script, most: number) {
    this.#script = script;
    this.#most = most;
    this.#slicesAt = script.args.push(0) - 1;
  }

  add(key: string, value?: string): void {
    const { args, keys } = this.#script;
    if (this.#slices === 0 || this.#count === this.#most) {
      args[this.#slicesAt] = this.#slices += 1;
      this.#countAt = args.push(0) - 1;
      this.#count = 0;
    }
    args[this.#countAt] = this.#count += 1;
    keys.push(key);
    if (value !== undefined) args.push(value);
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
  const at = script.args.push(0) - 1;
  let count = 0;
  for (const [zset, members] of writes.members) {
    const key = keys.of(zset);
    for (const [member, { before, after }] of members) {
      script.keys.push(key);
      script.args.push(member, before ?? '', after ?? '');
      count += 1;
    }
  }
  script.args[at] = count;
}

function encodeMaxima(script: Script, keys: Keys, { lastLsn, lastCommitMs, countedIn }: WritePlan): void {
  const maxima: [string, string][] = [];
  if (lastLsn !== null) maxima.push(['last_lsn', lastLsn]);
  if (lastCommitMs !== null) maxima.push(['last_ts_ms', String(lastCommitMs)]);
  encodeFields(script, maxima.map(([field, value]) => [keys.of(countedIn), field, value]));
}

function encodeChanges(script: Script, keys: Keys, { writes, table, changesMax }: NonNullable<Commit['plan']>): void {
  script.args.push(writes.changes.length > 0 ? 1 : 0);
  if (writes.changes.length === 0) return;
  script.keys.push(keys.changes(table));
  script.args.push(changesMax, writes.changes.length);
  for (const change of writes.changes) script.args.push(change.op, change.key, String(change.offset), change.lsn, change.columns.join(','));
}
