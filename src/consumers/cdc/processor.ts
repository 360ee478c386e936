/**
 * Keeps the replica: each batch of one partition is read, folded and committed in one script with its fence.
 * Invariant: what is not in the script has no effect, except dead letters, which are stored before it.
 */
import type { RedisStore } from '../../adapters/redis.ts';
import { decodeHeartbeat, decodeTableEvent, type SourceRecord, type TableEvent } from '../../domain/change-event.ts';
import { PipelineError } from '../../domain/errors.ts';
import { foldBatch, rowsTouched } from '../../domain/fold.ts';
import { isVisible, parseHold, type Hold } from '../../domain/hold.ts';
import type { Keys } from '../../domain/keys.ts';
import { parseStoredRow, type StoredRow } from '../../domain/stored-row.ts';
import type { Table } from '../../domain/tables/table.ts';
import { heartbeatTopic, tableTopic } from '../../domain/topics.ts';
import type { Failpoint } from '../../telemetry/failpoint.ts';
import { decodeReply, encodeCommit, encodeSetCommit, type CommitReply, type Fence } from '../commit.ts';
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

/** A record and what it decoded to. */
interface Decoded {
  record: SourceRecord;
  event: TableEvent;
  txId: number | null;
}

export function createCdcProcessor(options: CdcOptions): Processor {
  const { redis, keys, tables, topicPrefix, changesMax, deadLetters, failpoint } = options;
  const tableOf = new Map(tables.map((table) => [tableTopic(topicPrefix, table.name), table]));
  const heartbeats = heartbeatTopic(topicPrefix);

  const readHold = async (): Promise<Hold | null> => parseHold((await redis.strings([keys.hold]))[0] ?? null);

  /** One round trip: the hold and every stored row the events touch. */
  const readRows = async (table: Table, events: TableEvent[]): Promise<{ hold: Hold | null; stored: Map<string, StoredRow> }> => {
    const rows = rowsTouched(table, events);
    const [hold = null, ...texts] = await redis.strings([keys.hold, ...rows.map((name) => keys.of(name))]);
    const stored = new Map<string, StoredRow>();
    rows.forEach((name, i) => {
      const text = texts[i];
      if (text) stored.set(name, readStored(keys.of(name), text));
    });
    return { hold: parseHold(hold), stored };
  };

  const commitEvents = async (claim: Claim, table: Table, decoded: Decoded[], stored: Map<string, StoredRow>): Promise<Applied> => {
    const events = decoded.map(({ event }) => event);
    const plan = foldBatch({ table, generation: claim.generation, events, stored, changesMax });
    const { keys: scriptKeys, args } = encodeCommit(keys, fenceOf(claim), advanceTo(decoded), plan, table, changesMax);
    failpoint('cdc.commit');
    const reply = decodeReply(await redis.commit(scriptKeys, args));
    if (reply.result !== 'target') return settle(claim, reply, decoded.at(-1)!.record.offset);
    return isolate(claim, table, decoded, reply.key);
  };

  /** A counter refused the batch: halve it until the one event that cannot be added stands alone, and dead-letter that. */
  const isolate = async (claim: Claim, table: Table, decoded: Decoded[], key: string): Promise<Applied> => {
    const [only, ...rest] = decoded;
    if (rest.length === 0 && only) {
      const { event, record } = only;
      if (event.kind !== 'change') throw new PipelineError('redis_refused', `Key ${key} does not hold what the replica writes there`);
      const rejected = { kind: 'rejected', offset: event.offset, reason: 'sum_range', detail: `${key} would leave int64 or has another type`, id: event.id } as const;
      await deadLetters(claim, [{ record, rejected }]);
      return applyDecoded(claim, table, [{ record, event: rejected, txId: null }]);
    }
    const middle = Math.ceil(decoded.length / 2);
    const first = await applyDecoded(claim, table, decoded.slice(0, middle));
    return first.result === 'applied' ? applyDecoded(claim, table, decoded.slice(middle)) : first;
  };

  const applyDecoded = async (claim: Claim, table: Table, decoded: Decoded[]): Promise<Applied> => {
    const { stored } = await readRows(
      table,
      decoded.map(({ event }) => event),
    );
    return commitEvents(claim, table, decoded, stored);
  };

  const applyTable = async (claim: Claim, table: Table, records: SourceRecord[]): Promise<Applied> => {
    const decoded = records.map((record): Decoded => {
      const event = decodeTableEvent(table, record);
      return { record, event, txId: event.kind === 'change' ? event.txId : null };
    });
    const { hold, stored } = await readRows(
      table,
      decoded.map(({ event }) => event),
    );
    const visible = cutAtHold(decoded, hold);
    const letters = visible.flatMap(({ record, event }) => (event.kind === 'rejected' ? [{ record, rejected: event }] : []));
    if (letters.length > 0) await deadLetters(claim, letters);
    const applied: Applied = visible.length === 0 ? { result: 'applied' } : await commitEvents(claim, table, visible, stored);
    return applied.result === 'applied' && hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : applied;
  };

  const applyHeartbeats = async (claim: Claim, records: SourceRecord[]): Promise<Applied> => {
    const hold = await readHold();
    const decoded = records.map((record) => {
      const heartbeat = decodeHeartbeat(record);
      return { record, heartbeat, txId: heartbeat?.txId ?? null };
    });
    const visible = cutAtHold(decoded, hold);
    if (visible.length > 0) {
      const json = visible.findLast(({ heartbeat }) => heartbeat !== null)?.heartbeat?.json;
      const { keys: scriptKeys, args } = encodeSetCommit(keys, fenceOf(claim), advanceTo(visible), json ? [[keys.heartbeat, json]] : []);
      const applied = settle(claim, decodeReply(await redis.commit(scriptKeys, args)), visible.at(-1)!.record.offset);
      if (applied.result !== 'applied') return applied;
    }
    return hold && visible.length < decoded.length ? { result: 'held', token: hold.token } : { result: 'applied' };
  };

  return {
    topics: [...tableOf.keys(), heartbeats],
    apply: async (claim, records) => {
      const table = tableOf.get(claim.topic);
      return table ? applyTable(claim, table, records) : applyHeartbeats(claim, records);
    },
  };
}

/** Records before the first whose transaction verify's snapshot does not see. */
function cutAtHold<T extends { txId: number | null }>(records: T[], hold: Hold | null): T[] {
  if (hold === null) return records;
  const first = records.findIndex(({ txId }) => txId !== null && !isVisible(txId, hold));
  return first === -1 ? records : records.slice(0, first);
}

const fenceOf = ({ topic, partition, offset, epoch, guards }: Claim): Fence => ({ topic, partition, offset, epoch, guards });

function advanceTo(records: { record: SourceRecord; event?: TableEvent }[]): { lastOffset: bigint; fingerprint: string; commitMs: number } {
  const { record, event } = records.at(-1)!;
  return {
    lastOffset: record.offset,
    fingerprint: fingerprint(record),
    commitMs: event?.kind === 'change' ? event.commitMs : Number(record.timestampMs),
  };
}

/** Moves the claim's fence with an applied commit. */
function settle(claim: Claim, reply: CommitReply, lastOffset: bigint): Applied {
  switch (reply.result) {
    case 'target':
      throw new PipelineError('redis_refused', `Key ${reply.key} does not hold what the replica writes there`);
    case 'applied':
      claim.offset = lastOffset + 1n;
      return { result: 'applied' };
    case 'fenced':
      return { result: 'refused', epoch: reply.epoch, offset: reply.offset, cause: 'fence' };
    case 'guarded':
      return { result: 'refused', epoch: claim.epoch, offset: claim.offset, cause: 'guard' };
  }
}

function readStored(key: string, text: string): StoredRow {
  try {
    return parseStoredRow(text);
  } catch (error) {
    throw new PipelineError('row_unreadable', `${key} does not hold a row of this engine: something else wrote there`, { cause: error });
  }
}
