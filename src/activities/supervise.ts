/**
 * What the connector's supervisor sees and does.
 * Invariant: a slot from which changes are lost is told and the connector stopped, before anything can go on with a gap.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { ConnectClient, ConnectorStatus, SourceOffset } from '../adapters/connect.ts';
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { HeldUp } from '../adapters/kafka-transactions.ts';
import type { Queryable } from '../adapters/postgres.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import type { Table } from '../domain/tables/table.ts';
import { describeDrift, readColumns, whyUnreadable } from '../replica/columns.ts';
import { hasWorked } from '../replica/connector.ts';
import { createReplicaStatus, type Condition, type ReplicaStatus } from '../replica/status.ts';
import type { Finding, SupervisorActivities } from '../workflows/contract.ts';
import { scopes } from './rebuild-status.ts';
import { whileBeating } from './while-beating.ts';

export interface SuperviseDeps {
  redis: RedisStore;
  keys: Keys;
  admin: KafkaAdmin;
  connect: ConnectClient;
  /** The source, reading only. */
  db: Queryable;
  /** The source as the connector's role, which may end its own sessions. */
  source: Queryable;
  tables: readonly Table[];
  /** What other consumers read of the same tables, by the consumer's name. */
  readers: Record<string, readonly Table[]>;
  /** Where everything that the connector writes goes; the heartbeat among them, so that something comes at all times. */
  topics: string[];
  /** What of them, and of Connect's own topics, stands behind a transaction that has not ended. */
  findHeldUp: () => Promise<HeldUp[]>;
  /** Ends what Kafka has left open there, as the connector's next transaction would. */
  endTransaction: (partitions: HeldUp[]) => Promise<void>;
  /** Makes the topics that are gone, as a start does. */
  makeMissingTopics: () => Promise<unknown>;
  /** Registers the connector, as a start does. */
  registerConnector: () => Promise<unknown>;
  /** Whether a workflow is reading the table again. */
  isRebuilding: (table: string) => Promise<boolean>;
  /** Whether a workflow is making a new slot and reading everything again. */
  isSourceRenewed: () => Promise<boolean>;
  /** Name of the connector and of its slot. */
  connector: string;
  /** Nothing of it for this long, while the servers answer, is silence. */
  silentMs: number;
}

const pollMs = 2000;
const watchMs = 10 * 60_000;
/** It must run this long to count as recovered: one that reads a bad event over and over runs for seconds. */
const recoveredMs = 30_000;
/** Kafka ends a transaction of Connect's after a minute, or never: a broker that stops or starts meanwhile may leave the end out. */
const leftOpenMs = 75_000;
const heldUpEveryMs = 15_000;

/** What is remembered between two looks. */
interface Watch {
  /** Since when the connector stands still or the servers answer; null while they do not. */
  stillSinceMs: number | null;
  runningSinceMs: number | null;
  written: bigint;
}

/** What has been done about transactions that do not end. */
interface HeldUpWatch {
  lookedMs: number;
  /** Partitions and offsets, so that what could not be ended is not tried for ever. */
  ended: Set<string>;
}

export function createSuperviseActivities(deps: SuperviseDeps): SupervisorActivities {
  const { redis, keys, connect, source, tables, connector, makeMissingTopics } = deps;
  const heldUp: HeldUpWatch = { lookedMs: Date.now(), ended: new Set() };
  const status = createReplicaStatus(redis, keys);
  const tellAll = async (scope: string, why: string): Promise<void> => {
    for (const { name: table } of tables) await (why ? status.set(table, 'halted', scope, why) : status.clear(table, 'halted', scope));
  };

  return {
    watchPipeline: (failures, quietMs) =>
      whileBeating(async () => {
        const { cancellationSignal: signal } = Context.current();
        const stopped = once(signal, 'abort');
        const startedMs = Date.now();
        const watch: Watch = { stillSinceMs: null, runningSinceMs: null, written: -1n };
        for (; Date.now() - startedMs < watchMs; await delay(pollMs, undefined, { signal })) {
          await answer(makeMissingTopics); // without one of them no consumer can read any; the claim that follows tells that it was cut
          const look = endLeftOpen(deps, heldUp).catch((error: Error) => void Context.current().log.warn(`open transactions cannot be looked for: ${error.message}`));
          await Promise.race([look, stopped]); // Kafka may be away for long
          const conditions = await status.conditions();
          const running = await answer(() => findRegistered(deps, conditions));
          const finding =
            (await findLostChanges(deps, running, conditions)) ??
            (await findConnector(deps, watch, running, { failures, isQuiet: Date.now() - startedMs < quietMs })) ??
            (await findStaleTable(deps, running, conditions));
          if (finding) return finding;
        }
        return { kind: 'quiet' };
      }),
    restartConnector: async (onlyFailed) => {
      // A silent one may hang on a connection that only the other side has lost: until PostgreSQL gives it up, the slot is taken.
      const ownSession = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = $1 AND usename = current_user';
      if (!onlyFailed) await source.query(ownSession, [connector]);
      await connect.restart(connector, onlyFailed);
    },
    reportConnector: (why) => tellAll(scopes.connector, why),
    haltForSlot: async (why) => {
      await tellAll(scopes.slot, why);
      await connect.stop(connector);
    },
  };
}

/** What is behind it in a change topic comes only with the next change there; behind it in its offsets, the connector never starts again. */
async function endLeftOpen({ findHeldUp, endTransaction }: SuperviseDeps, watch: HeldUpWatch): Promise<void> {
  if (Date.now() - watch.lookedMs < heldUpEveryMs) return;
  watch.lookedMs = Date.now();
  const place = ({ topic, partition, offset }: HeldUp): string => `${topic}-${partition}@${offset}`;
  const left = (await findHeldUp()).filter((one) => Date.now() - one.writtenMs > leftOpenMs && !watch.ended.has(place(one)));
  if (left.length === 0) return;
  await endTransaction(left);
  for (const one of left) watch.ended.add(place(one));
  Context.current().log.warn(`Kafka had left a transaction open, it is ended: ${left.map(place).join(', ')}`);
}

/** Null when it is not registered. One that was (Kafka has lost the topics of Connect) is registered anew. */
async function findRegistered(deps: SuperviseDeps, conditions: Condition[]): Promise<ConnectorStatus | null> {
  const { connect, connector, registerConnector } = deps;
  const running = await connect.connectorStatus(connector);
  if (running === null && !isSlotTold(conditions) && !(await connect.isRegistered(connector)) && (await hasWorked(deps))) await registerConnector();
  return running;
}

const isSlotTold = (conditions: Condition[]): boolean => conditions.some(({ scope, state }) => scope === scopes.slot && state === 'halted');

interface Slot {
  lost: boolean;
  confirmed: string;
}

/** Debezium itself stops at a slot that is ahead of what it remembers or gone; it waits for ever at one that was invalidated. */
async function findLostChanges(deps: SuperviseDeps, running: ConnectorStatus | null, conditions: Condition[]): Promise<Finding | null> {
  if (isSlotTold(conditions)) return null;
  const found = await findLostSlot(deps, running);
  if (found === null || running?.connector.state !== 'STOPPED') return found;
  const isRenewed = await answer(deps.isSourceRenewed); // then it is stopped for a new slot, otherwise for a halt that Redis has forgotten
  return isRenewed !== false || isSlotTold(await createReplicaStatus(deps.redis, deps.keys).conditions()) ? null : found;
}

async function findLostSlot({ db, connect, connector }: SuperviseDeps, running: ConnectorStatus | null): Promise<Finding | null> {
  const rows = await answer(() =>
    db.query<Slot>(
      `SELECT coalesce(wal_status = 'lost', false) AS lost, coalesce(confirmed_flush_lsn - '0/0', 0)::text AS confirmed
       FROM pg_replication_slots WHERE slot_name = $1`,
      [connector],
    ),
  );
  if (rows === null) return null;
  const why = (what: string): Finding => ({ kind: 'slot', why: `${what}, so changes are lost: run sluice resync --all` });
  const [slot] = rows;
  if (slot?.lost) return why(`PostgreSQL has thrown away WAL that replication slot ${connector} had not read (PG_SLOT_KEEP_MB)`);
  const hasFailed = running !== null && [running.connector, ...running.tasks].some(({ state }) => state === 'FAILED' || state === 'STOPPED');
  if (slot && !hasFailed) return null;
  const offsets = await answer(() => connect.sourceOffsets(connector));
  if (offsets === null || offsets.length === 0) return null; // before its first snapshot there is nothing to lose
  if (!slot) return why(`Replication slot ${connector} is gone`);
  return BigInt(slot.confirmed) > lsnOf(offsets) ? why(`Replication slot ${connector} was created anew`) : null;
}

const lsnOf = (offsets: SourceOffset[]): bigint =>
  offsets.flatMap(({ lsn, lsn_proc, lsn_commit }) => [lsn, lsn_proc, lsn_commit]).reduce<bigint>((max, lsn) => (lsn && BigInt(lsn) > max ? BigInt(lsn) : max), 0n);

/** Liveness by what the connector writes: its own word may be RUNNING for ever. */
async function findConnector(
  { admin, db, source, topics, connector, silentMs }: SuperviseDeps,
  watch: Watch,
  running: ConnectorStatus | null,
  { failures, isQuiet }: { failures: number; isQuiet: boolean },
): Promise<Finding | null> {
  const states = running === null ? [] : [running.connector.state, ...running.tasks.map(({ state }) => state)];
  const runs = states.length > 1 && states.every((state) => state === 'RUNNING');
  const nowMs = Date.now();
  watch.runningSinceMs = runs ? (watch.runningSinceMs ?? nowMs) : null;
  if (states.includes('FAILED')) return isQuiet ? null : { kind: 'failed', why: failureOf(running!) };
  const written = runs ? await answer(async () => (await Promise.all(topics.map((topic) => admin.offsets(topic)))).flat().reduce((sum, { high }) => sum + high, 0n)) : null;
  const hasMoved = written !== null && watch.written !== -1n && written !== watch.written;
  const answers = written !== null && (await answer(() => db.query('SELECT 1'))) !== null;
  watch.stillSinceMs = !answers || isQuiet ? null : hasMoved || watch.stillSinceMs === null ? nowMs : watch.stillSinceMs;
  watch.written = written ?? -1n;
  if (failures > 0 && hasMoved && watch.runningSinceMs !== null && nowMs - watch.runningSinceMs >= recoveredMs) return { kind: 'recovered' };
  const stillMs = watch.stillSinceMs === null ? 0 : nowMs - watch.stillSinceMs;
  if (stillMs < silentMs) return null;
  if (await isDecoding(source, connector)) {
    watch.stillSinceMs = nowMs;
    return null;
  }
  return { kind: 'silent', why: `nothing of the connector has reached Kafka for ${Math.round(stillMs / 1000)} s although it says RUNNING` };
}

/** PostgreSQL is at work for the slot and waits for nobody: a transaction that is long to decode; a restart would begin it again. */
async function isDecoding(source: Queryable, connector: string): Promise<boolean> {
  const working = await answer(() =>
    source.query(
      `SELECT 1 FROM pg_stat_activity JOIN pg_replication_slots ON pid = active_pid
       WHERE slot_name = $1 AND coalesce(wait_event_type, '') NOT IN ('Client', 'Activity')`,
      [connector],
    ),
  );
  return working !== null && working.length > 0;
}

/** Class of the deepest cause: the messages may quote rows. */
function failureOf({ connector, tasks }: ConnectorStatus): string {
  const trace = [connector, ...tasks].find(({ state }) => state === 'FAILED')?.trace ?? '';
  return [...trace.matchAll(/^(?:Caused by: )?([\w.$]+(?:Exception|Error))/gm)].at(-1)?.[1] ?? 'no reason given';
}

/** Without a connector that runs nothing can be read again: it is begun when there is one. */
async function findStaleTable(deps: SuperviseDeps, running: ConnectorStatus | null, conditions: Condition[]): Promise<Finding | null> {
  const stale = await lookAtTables(deps, conditions);
  return running === null || running.connector.state === 'STOPPED' ? null : stale;
}

async function lookAtTables(deps: SuperviseDeps, conditions: Condition[]): Promise<Finding | null> {
  const { redis, keys, db, tables, readers } = deps;
  const columns = (await answer(() => readColumns(db, tables.map(({ name }) => name)))) ?? {};
  const status = createReplicaStatus(redis, keys);
  for (const [reader, read] of Object.entries(readers)) await tellUncountable(createReplicaStatus(redis, keys, reader), read, columns, conditions.filter(({ scope }) => scope === `${reader} ${scopes.columns}`));
  for (const definition of tables) {
    const table = definition.name;
    const told = conditions.filter((one) => one.table === table);
    if (told.some(({ scope }) => scope === scopes.slot)) continue; // waiting for a person
    const isTold = told.some(({ scope }) => scope === scopes.rebuild);
    if (isTold && !(await isForsaken(deps, table))) continue; // being read again
    const now = columns[table];
    const then = now === undefined ? undefined : await redis.claimField(keys.columns, table, now);
    const uncountable = whyUnreadable(definition, now);
    if (uncountable) {
      await status.set(table, 'drift', scopes.columns, `${uncountable}: restore it, and the table is read again; until then changes wait as dead letters`);
      continue; // every row that was read would be rejected
    }
    if (isTold) return { kind: 'stale', table, why: 'it was told as being read again, and nobody was reading it' };
    const cut = told.find(({ scope, state }) => scope === scopes.cut && state === 'rebuilding');
    if (cut) return { kind: 'stale', table, why: cut.why };
    if (now === undefined || then === undefined || then === now) continue;
    const why = `${describeDrift(then, now)}: reading the table again`;
    await status.set(table, 'drift', scopes.columns, why);
    return { kind: 'stale', table, why };
  }
  return null;
}

/** A Redis that went back tells of a reading that has ended; so does one that was terminated by hand. */
async function isForsaken({ redis, keys, isRebuilding }: SuperviseDeps, table: string): Promise<boolean> {
  if ((await answer(() => isRebuilding(table))) !== false) return false;
  const now = await createReplicaStatus(redis, keys).conditions(); // it may just have ended
  return now.some((one) => one.table === table && one.state === 'rebuilding' && one.scope === scopes.rebuild);
}

/** A table that a reader cannot count any more; the replica, which needs less of it, follows all the same. */
async function tellUncountable(status: ReplicaStatus, tables: readonly Table[], columns: Record<string, string>, told: Condition[]): Promise<void> {
  for (const definition of tables) {
    const table = definition.name;
    if (columns[table] === undefined) continue;
    const why = whyUnreadable(definition, columns[table]);
    if (why) await status.set(table, 'drift', scopes.columns, `${why}: restore it; until then changes of this table are not counted`);
    else if (told.some((one) => one.table === table)) await status.clear(table, 'drift', scopes.columns);
  }
}

/** Null while the server that was asked is away. */
async function answer<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof PipelineError && error.action === 'retry') return null;
    throw error;
  }
}
