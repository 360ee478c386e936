/**
 * Keeps the replica: each batch of one partition is read, folded and committed in one script with its fence.
 * Invariant: what is not in the script has no effect, except dead letters, which are stored before it.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import { decodeHeartbeat, decodeKey, type Rejected, type SourceRecord, type TableEvent, type Truncate } from '../../domain/change-event.ts';
import { PipelineError } from '../../domain/errors.ts';
import { foldBatch } from '../../domain/fold.ts';
import { isVisible, parseHold, type Hold } from '../../domain/hold.ts';
import { rowName, type Keys } from '../../domain/keys.ts';
import { idsParked, settleParked } from '../../domain/parked.ts';
import { parseStoredRow, type StoredRow } from '../../domain/stored-row.ts';
import { isBeforeMark, parseTableState, type TableState } from '../../domain/table-state.ts';
import type { Table } from '../../domain/tables/table.ts';
import { heartbeatTopic, partitionName, tableTopic } from '../../domain/topics.ts';
import type { Failpoint } from '../../telemetry/failpoint.ts';
import { decodeReply, encodeCommit, expectFence, moveFence, type Advance, type CommitReply } from '../../replica/commit.ts';
import type { ReplicaStatus } from '../../replica/status.ts';
import { sweepTable } from '../../replica/sweep.ts';
import { changeTableState } from '../../replica/table-state.ts';
import type { DeadLetterSink, RejectedRecord } from '../dead-letters.ts';
import { fingerprint } from '../fingerprint.ts';
import type { Applied, Claim, Processor, Windows } from '../processor.ts';
import { decodeBatch, type Decoded } from './decode-batch.ts';
import type { SourceSchema } from './source-schema.ts';

export interface CdcOptions {
  redis: RedisStore;
  keys: Keys;
  tables: readonly Table[];
  /** What the source has and had; without it the tables are taken as they are. */
  schema?: SourceSchema;
  topicPrefix: string;
  changesMax: number;
  deadLetters: DeadLetterSink;
  /** Of the processor that writes the dead letters, when it is another. */
  letterKeys?: Keys;
  status: ReplicaStatus;
  failpoint: Failpoint;
  /** For counters that live for a time only. */
  windows?: Windows;
}

interface Work {
  claim: Claim;
  table: Table;
  /** The columns that the events were read by. */
  versions: readonly Table[];
  /** Dead letters that are stored already, `<offset> <generation>`: reading again does not store them twice. */
  told: Set<string>;
}

/** What a batch is computed from: as it was at one moment in Redis. */
interface Reading {
  hold: Hold | null;
  /** As stored: part of the fence. */
  stateText: string;
  state: TableState;
  stored: Map<string, StoredRow>;
  /** Id → text of its parked mark, '' when there is none; only where a dead letter or a replay needs it. */
  marks: Map<string, string>;
  /** Generation of the dead letters that may be replayed. */
  letters: number;
}

/** `outdated`: the table is read again, and its columns are others than the events were read by. */
type Outcome = Applied | { result: 'outdated' };

export class CdcProcessor implements Processor {
  readonly topics: string[];
  readonly standing = new Set<string>();
  readonly #options: CdcOptions;
  readonly #tableOf: Map<string, Table>;

  constructor(options: CdcOptions) {
    this.#options = options;
    this.#tableOf = new Map(options.tables.map((table) => [tableTopic(options.topicPrefix, table.name), table]));
    this.topics = [...this.#tableOf.keys(), heartbeatTopic(options.topicPrefix)];
  }

  async apply(claim: Claim, records: SourceRecord[]): Promise<Applied> {
    const table = this.#tableOf.get(claim.topic);
    if (!table) return this.#applyHeartbeats(claim, records);
    for (let rest = records; ; rest = rest.filter(({ offset }) => claim.offset === null || offset >= claim.offset)) {
      const outcome = await this.#applyRows(claim, table, rest);
      if (outcome.result !== 'outdated') return outcome;
    }
  }

  async #applyRows(claim: Claim, table: Table, records: SourceRecord[]): Promise<Outcome> {
    const { schema, changesMax } = this.#options;
    // Rows are asked for by key alone and decoding waits until they are here: what it makes is then gone before anything is awaited.
    let reading: Reading | null = await this.#read(table, idsOf(records), []);
    const { decoded, versions } = await decodeBatch(table, records, changesMax, schema);
    for (const part of aroundTruncates(decoded)) {
      const outcome = await this.#applyPart({ claim, table, versions, told: new Set() }, part, reading);
      if (outcome.result !== 'applied') return outcome;
      reading = null;
    }
    return { result: 'applied' };
  }

  /** `early`: what was read before the records were decoded, if nothing was applied since. */
  async #applyPart(work: Work, decoded: Decoded<TableEvent>[], early: Reading | null): Promise<Outcome> {
    const { claim, table } = work;
    const reading = early !== null && idsParked(eventsOf(decoded)).length === 0 ? early : await this.#readFor(table, decoded);
    const { hold } = reading;
    const visible = beforeHold(decoded, hold);
    const [first] = visible;
    if (first?.event.kind === 'truncate') await this.#truncate(claim, table, first.event);
    const applied = first ? await this.#commit(work, visible, reading) : ({ result: 'applied' } as const);
    return applied.result === 'applied' && hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : applied;
  }

  /** One round trip: the hold in force, the table's state and every stored row the events touch. */
  async #read({ name, entity }: Table, ids: string[], parkedIds: string[]): Promise<Reading> {
    const { redis, keys, letterKeys = keys } = this.#options;
    const parked = parkedIds.length === 0 ? [] : [...parkedIds.map((id) => keys.parkedMark(name, id)), letterKeys.tableState(name)];
    const [hold = null, state = null, ...texts] = await redis.strings([keys.hold, keys.tableState(name), ...ids.map((id) => keys.row(entity, id)), ...parked]);
    const stored = new Map<string, StoredRow>();
    for (const [i, id] of ids.entries()) {
      const text = texts[i];
      if (text) stored.set(rowName(entity, id), readStored(keys.row(entity, id), text));
    }
    const marks = new Map(parkedIds.map((id, i) => [id, texts[ids.length + i] ?? '']));
    return { hold: parseHold(hold), stateText: state ?? '', state: parseTableState(state), stored, marks, letters: parseTableState(texts[ids.length + parkedIds.length] ?? null).generation };
  }

  async #readFor(table: Table, decoded: Decoded<TableEvent>[]): Promise<Reading> {
    return this.#read(table, idsOf(decoded.map(({ record }) => record)), idsParked(eventsOf(decoded)));
  }

  /**
   * Stores the dead letters, then commits. Reads again as often as something it was computed from changes in between: a sweep
   * is going on, a new generation began, or a dead letter was discarded.
   */
  async #commit(work: Work, decoded: Decoded<TableEvent>[], first: Reading): Promise<Outcome> {
    const { claim, table } = work;
    const { redis, keys, schema, changesMax, failpoint, windows } = this.#options;
    const stateKey = keys.tableState(table.name);
    for (let reading = first; ; reading = await this.#readFor(table, decoded)) {
      const { state, stateText, stored } = reading;
      if (schema && (await schema.under(table.name, state.generation)) !== work.versions) return { result: 'outdated' };
      const { events, marks } = settleParked({ table, events: eventsOf(decoded), ...reading });
      await this.#tellLetters(work, decoded, events, state.generation);
      const writes = foldBatch({ table, state, events, marks, stored, changesMax });
      const { fields, strings } = expectFence(keys, claim);
      const expect = { fields, strings: [...strings, [stateKey, stateText] as [string, string]] };
      const moved = moveFence(keys, claim, advanceTo(decoded));
      const upkeep = windows?.tend(writes, { table, events, stored, partition: partitionName(claim) });
      const script = encodeCommit(keys, { expect, plan: { writes, table: table.name, changesMax }, ...moved, ...(upkeep && { upkeep }) });
      failpoint('commit');
      const reply = decodeReply(await redis.commit(script.keys, script.args));
      if (reply.result === 'overflow') return this.#isolate(work, decoded, reply.counter);
      const isPassing = reply.result === 'stale' && (reply.key === stateKey || [...marks.keys()].some((id) => reply.key === keys.parkedMark(table.name, id)));
      if (!isPassing) return this.#settle(claim, reply, decoded);
    }
  }

  /** `events`: what became of the decoded records, one for each. */
  async #tellLetters({ claim, table, told }: Work, decoded: Decoded<TableEvent>[], events: TableEvent[], generation: number): Promise<void> {
    const letters: RejectedRecord[] = [];
    for (const [i, event] of events.entries()) {
      const { record } = decoded[i]!;
      if (event.kind === 'rejected' && !told.has(`${record.offset} ${generation}`)) letters.push({ record, rejected: event, generation });
    }
    if (letters.length === 0) return;
    const missing = letters.find(({ rejected }) => rejected.reason === 'unavailable_value');
    if (missing) await this.#options.status.set(table.name, 'rebuilding', 'cut', `${partitionName(claim)} at ${missing.record.offset}: ${missing.rejected.detail}`);
    await this.#options.deadLetters(claim, letters);
    for (const { record } of letters) told.add(`${record.offset} ${generation}`);
  }

  /**
   * Raises the table's mark, so that nothing older is applied any more in any partition, and sweeps what was applied before.
   * The record itself is committed after that: whoever dies in between leaves it to be read again, and the sweep goes on.
   */
  async #truncate(claim: Claim, table: Table, { lsn }: Truncate): Promise<void> {
    const { redis, keys, status, failpoint, windows } = this.#options;
    const scope = partitionName(claim);
    const state = await changeTableState(redis, keys, table.name, (old) => (BigInt(old.mark) < BigInt(lsn) ? { ...old, mark: lsn, sweeps: old.sweeps + 1 } : old));
    await status.set(table.name, 'sweeping', scope, 'TRUNCATE: its rows are being removed');
    this.standing.add(scope);
    try {
      await sweepTable({ redis, keys, table, isStale: (row) => isBeforeMark(row.lsn, state), onProgress: () => failpoint('sweep'), ...(windows && { tend: windows.tend }) });
    } finally {
      this.standing.delete(scope);
    }
    await status.clear(table.name, 'sweeping', scope);
  }

  /** A counter refused the batch: halve it until the one event that cannot be added stands alone, and dead-letter that. */
  async #isolate(work: Work, decoded: Decoded<TableEvent>[], counter: string): Promise<Outcome> {
    if (decoded.length === 1) {
      const { record, event } = decoded[0]!;
      if (event.kind !== 'change') throw overflown(counter);
      const { offset, op, id, replay } = event;
      const rejected: Rejected = { kind: 'rejected', offset, ...(replay && { replay }), op, reason: 'sum_range', detail: `${counter} would leave int64`, id };
      return this.#readAndCommit(work, [{ record, event: rejected, txId: null }]);
    }
    const middle = Math.ceil(decoded.length / 2);
    const first = await this.#readAndCommit(work, decoded.slice(0, middle));
    return first.result === 'applied' ? this.#readAndCommit(work, decoded.slice(middle)) : first;
  }

  async #readAndCommit(work: Work, decoded: Decoded<TableEvent>[]): Promise<Outcome> {
    return this.#commit(work, decoded, await this.#readFor(work.table, decoded));
  }

  async #applyHeartbeats(claim: Claim, records: SourceRecord[]): Promise<Applied> {
    const { redis, keys, windows } = this.#options;
    const hold = parseHold((await redis.strings([keys.hold]))[0] ?? null);
    const decoded = records.map((record) => {
      const event = decodeHeartbeat(record);
      return { record, event, txId: event?.txId ?? null };
    });
    const visible = beforeHold(decoded, hold);
    if (visible.length > 0) {
      const json = visible.findLast(({ event }) => event !== null)?.event?.json;
      const moved = moveFence(keys, claim, advanceTo(visible));
      const script = encodeCommit(keys, { expect: expectFence(keys, claim), ...moved, strings: [...moved.strings, ...(json ? [[keys.heartbeat, json] as [string, string]] : [])] });
      const applied = this.#settle(claim, decodeReply(await redis.commit(script.keys, script.args)), visible);
      if (applied.result !== 'applied') return applied;
      if (json) await windows?.tick(Date.parse((JSON.parse(json) as { ts: string }).ts));
    }
    return hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : { result: 'applied' };
  }

  /** Moves the claim's fence with an applied commit. */
  #settle(claim: Claim, reply: CommitReply, decoded: Decoded<unknown>[]): Applied {
    const { keys } = this.#options;
    switch (reply.result) {
      case 'applied':
        claim.offset = decoded.at(-1)!.record.offset + 1n;
        return { result: 'applied' };
      case 'stale': {
        const cause = reply.key === keys.pipeline ? 'spec' : reply.key === keys.offset(claim.topic, claim.partition) ? 'offset' : 'epoch';
        return { result: 'refused', cause, stored: reply.found };
      }
      case 'overflow':
        throw overflown(reply.counter);
    }
  }
}

/** Ids of the rows that records may touch, each once. */
function idsOf(records: SourceRecord[]): string[] {
  const ids = new Set<string>();
  for (const { key } of records) {
    const id = decodeKey(key);
    if (id !== null) ids.add(id);
  }
  return [...ids];
}

/** Parts in order; each TRUNCATE is a part of its own. */
function* aroundTruncates(decoded: Decoded<TableEvent>[]): Generator<Decoded<TableEvent>[]> {
  let from = 0;
  for (const [i, { event }] of decoded.entries()) {
    if (event.kind !== 'truncate') continue;
    if (i > from) yield decoded.slice(from, i);
    yield [decoded[i]!];
    from = i + 1;
  }
  if (from < decoded.length) yield from === 0 ? decoded : decoded.slice(from);
}

const eventsOf = (decoded: Decoded<TableEvent>[]): TableEvent[] => decoded.map(({ event }) => event);

/** What comes before the first change whose transaction verify's snapshot does not see. */
function beforeHold<E>(decoded: Decoded<E>[], hold: Hold | null): Decoded<E>[] {
  if (hold === null) return decoded;
  const first = decoded.findIndex(({ txId }) => txId !== null && !isVisible(txId, hold));
  return first === -1 ? decoded : decoded.slice(0, first);
}

function advanceTo(decoded: Decoded<unknown>[]): Advance {
  const { record } = decoded.at(-1)!;
  return { lastOffset: record.offset, fingerprint: fingerprint(record), recordMs: record.timestampMs };
}

const overflown = (counter: string): PipelineError => new PipelineError('redis_refused', `${counter} is so large that no event can be counted any more`);

function readStored(key: string, text: string): StoredRow {
  try {
    return parseStoredRow(text);
  } catch (error) {
    throw new PipelineError('row_unreadable', `${key} does not hold a row of this engine: something else wrote there`, { cause: error });
  }
}
