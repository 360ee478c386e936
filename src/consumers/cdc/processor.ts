/**
 * Keeps the replica: each batch of one partition is read, folded and committed in one script with its fence.
 * Invariant: what is not in the script has no effect, except dead letters, which are stored before it.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import { decodeHeartbeat, decodeTableEvent, type Rejected, type SourceRecord, type TableEvent } from '../../domain/change-event.ts';
import { PipelineError } from '../../domain/errors.ts';
import { foldBatch, rowsTouched } from '../../domain/fold.ts';
import { isVisible, parseHold, type Hold } from '../../domain/hold.ts';
import type { Keys } from '../../domain/keys.ts';
import { parseStoredRow, type StoredRow } from '../../domain/stored-row.ts';
import type { Table } from '../../domain/tables/table.ts';
import { heartbeatTopic, tableTopic } from '../../domain/topics.ts';
import type { Failpoint } from '../../telemetry/failpoint.ts';
import { decodeReply, encodeCommit, encodeSetCommit, type Advance, type CommitReply } from '../commit.ts';
import type { DeadLetterSink } from '../dead-letters.ts';
import { fingerprint } from '../fingerprint.ts';
import type { Applied, Claim, Processor } from '../processor.ts';

export interface CdcOptions {
  redis: RedisStore;
  keys: Keys;
  tables: readonly Table[];
  topicPrefix: string;
  changesMax: number;
  deadLetters: DeadLetterSink;
  failpoint: Failpoint;
}

interface Decoded<E> {
  record: SourceRecord;
  event: E;
  /** Transaction of the change; null when it is not known. */
  txId: number | null;
}

export class CdcProcessor implements Processor {
  readonly topics: string[];
  readonly #options: CdcOptions;
  readonly #tableOf: Map<string, Table>;

  constructor(options: CdcOptions) {
    this.#options = options;
    this.#tableOf = new Map(options.tables.map((table) => [tableTopic(options.topicPrefix, table.name), table]));
    this.topics = [...this.#tableOf.keys(), heartbeatTopic(options.topicPrefix)];
  }

  async apply(claim: Claim, records: SourceRecord[]): Promise<Applied> {
    const table = this.#tableOf.get(claim.topic);
    return table ? this.#applyTable(claim, table, records) : this.#applyHeartbeats(claim, records);
  }

  async #applyTable(claim: Claim, table: Table, records: SourceRecord[]): Promise<Applied> {
    const decoded = records.map((record) => {
      const event = decodeTableEvent(table, record);
      return { record, event, txId: event.kind === 'change' ? event.txId : null };
    });
    const { hold, stored } = await this.#read(table, decoded);
    const visible = beforeHold(decoded, hold);
    const letters = visible.flatMap(({ record, event }) => (event.kind === 'rejected' ? [{ record, rejected: event }] : []));
    if (letters.length > 0) await this.#options.deadLetters(claim, letters);
    const applied = visible.length === 0 ? ({ result: 'applied' } as const) : await this.#commit(claim, table, visible, stored);
    return applied.result === 'applied' && hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : applied;
  }

  /** One round trip: the hold in force and every stored row the events touch. */
  async #read(table: Table, decoded: Decoded<TableEvent>[]): Promise<{ hold: Hold | null; stored: Map<string, StoredRow> }> {
    const { redis, keys } = this.#options;
    const rows = rowsTouched(table, eventsOf(decoded));
    const [hold = null, ...texts] = await redis.strings([keys.hold, ...rows.map((name) => keys.of(name))]);
    const stored = new Map<string, StoredRow>();
    for (const [i, name] of rows.entries()) {
      const text = texts[i];
      if (text) stored.set(name, readStored(keys.of(name), text));
    }
    return { hold: parseHold(hold), stored };
  }

  async #commit(claim: Claim, table: Table, decoded: Decoded<TableEvent>[], stored: Map<string, StoredRow>): Promise<Applied> {
    const { redis, keys, changesMax, failpoint } = this.#options;
    const plan = foldBatch({ table, generation: claim.generation, events: eventsOf(decoded), stored, changesMax });
    const script = encodeCommit({ keys, fence: claim, advance: advanceTo(decoded), plan, table, changesMax });
    failpoint('cdc.commit');
    const reply = decodeReply(await redis.commit(script.keys, script.args));
    return reply.result === 'overflow' ? this.#isolate(claim, table, decoded, reply.counter) : settle(claim, reply, decoded);
  }

  /** A counter refused the batch: halve it until the one event that cannot be added stands alone, and dead-letter that. */
  async #isolate(claim: Claim, table: Table, decoded: Decoded<TableEvent>[], counter: string): Promise<Applied> {
    if (decoded.length === 1) {
      const { record, event } = decoded[0]!;
      if (event.kind !== 'change') throw overflown(counter);
      const rejected: Rejected = { kind: 'rejected', offset: event.offset, op: event.op, reason: 'sum_range', detail: `${counter} would leave int64`, id: event.id };
      await this.#options.deadLetters(claim, [{ record, rejected }]);
      return this.#readAndCommit(claim, table, [{ record, event: rejected, txId: null }]);
    }
    const middle = Math.ceil(decoded.length / 2);
    const first = await this.#readAndCommit(claim, table, decoded.slice(0, middle));
    return first.result === 'applied' ? this.#readAndCommit(claim, table, decoded.slice(middle)) : first;
  }

  async #readAndCommit(claim: Claim, table: Table, decoded: Decoded<TableEvent>[]): Promise<Applied> {
    const { stored } = await this.#read(table, decoded);
    return this.#commit(claim, table, decoded, stored);
  }

  async #applyHeartbeats(claim: Claim, records: SourceRecord[]): Promise<Applied> {
    const { redis, keys } = this.#options;
    const hold = parseHold((await redis.strings([keys.hold]))[0] ?? null);
    const decoded = records.map((record) => {
      const event = decodeHeartbeat(record);
      return { record, event, txId: event?.txId ?? null };
    });
    const visible = beforeHold(decoded, hold);
    if (visible.length > 0) {
      const json = visible.findLast(({ event }) => event !== null)?.event?.json;
      const script = encodeSetCommit(keys, claim, advanceTo(visible), json ? [[keys.heartbeat, json]] : []);
      const applied = settle(claim, decodeReply(await redis.commit(script.keys, script.args)), visible);
      if (applied.result !== 'applied') return applied;
    }
    return hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : { result: 'applied' };
  }
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

/** Moves the claim's fence with an applied commit. */
function settle(claim: Claim, reply: CommitReply, decoded: Decoded<unknown>[]): Applied {
  switch (reply.result) {
    case 'applied':
      claim.offset = decoded.at(-1)!.record.offset + 1n;
      return { result: 'applied' };
    case 'fenced':
      return { result: 'refused', epoch: reply.epoch, offset: reply.offset, cause: 'fence' };
    case 'guarded':
      return { result: 'refused', epoch: claim.epoch, offset: claim.offset, cause: 'guard' };
    case 'overflow':
      throw overflown(reply.counter);
  }
}

const overflown = (counter: string): PipelineError => new PipelineError('redis_refused', `${counter} is so large that no event can be counted any more`);

function readStored(key: string, text: string): StoredRow {
  try {
    return parseStoredRow(text);
  } catch (error) {
    throw new PipelineError('row_unreadable', `${key} does not hold a row of this engine: something else wrote there`, { cause: error });
  }
}
