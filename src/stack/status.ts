/**
 * What `sluice status` shows: the supervisor's record, checked against the processes that really live, and what the
 * servers say about connector, slot and lag. A part that cannot be asked is null or empty, never an error.
 */
import { access, isGiven, serverNames, urlsOf, type ServerName } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis, type RedisStore } from '../adapters/redis.ts';
import type { Settings } from '../config.ts';
import { readLag, type PartitionLag } from '../replica/lag.ts';
import { createKeys } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import { tableTopic } from '../domain/topics.ts';
import { connectClientOf, connectorName } from './connector.ts';
import { describeFull, freeBytes, leastFreeBytes } from './disk.ts';
import { describeOversized, findOversizedEvent, readTail, type OversizedEvent } from './oversized-event.ts';
import { layoutOf } from './project.ts';
import { consumerNames, isAlive, processNames, readStackRecord, unstarted, type ProcessName, type ProcessRecord, type ProcessState } from './state-file.ts';

export interface StackStatus {
  healthy: boolean;
  /** What is not as it should be, for a person; empty when healthy. */
  problems: string[];
  processes: { name: ProcessName; pid: number | null; ports: number[]; state: ProcessState; restarts: number }[];
  /** `oversizedEvent`: the change at which the connector stops because it may not be that large. */
  connector: { state: string; tasks: string[]; oversizedEvent: OversizedEvent | null };
  slot: { active: boolean; walStatus: string; retainedBytes: number } | null;
  lag: PartitionLag[];
  /** The last heartbeat row that reached Redis; null when there is none, or Redis does not answer. */
  heartbeat: { ageMs: number } | null;
  /** Tables that stand still until someone looks, with the reason. */
  halted: Record<string, string>;
  /** Of SLUICE_DATA_DIR; null when nothing is started here. */
  disk: { freeBytes: number } | null;
  urls: Record<string, string>;
}

/** Over all partitions; null when it is not known. */
export const lagOf = ({ lag }: Pick<StackStatus, 'lag'>): { events: number; ms: number } | null =>
  lag.length === 0 ? null : { events: lag.reduce((sum, one) => sum + one.events, 0), ms: Math.max(...lag.map(({ ms }) => ms)) };

type Facts = Omit<StackStatus, 'healthy' | 'problems' | 'urls'>;

const askBudgetMs = 5000;

/** Each reading opens nothing that stays open, unless a server is frozen: then what it was asked stays, once, until it answers. */
export function createStatusReader(settings: Settings): () => Promise<StackStatus> {
  const ask = {
    connector: createQuestion(() => readConnector(settings)),
    slot: createQuestion(() => readSlot(settings)),
    replica: createQuestion(() => readReplica(settings)),
    lag: createQuestion(() => readReplicaLag(settings)),
  };
  return async () => {
    const record = readStackRecord(layoutOf(settings.SLUICE_DATA_DIR).stateFile);
    const supervised = record !== null && isAlive(record.supervisor);
    const elsewhere = record === null && serverNames.every((name) => isGiven(settings, name)); // somebody else starts our processes too
    const processes = (record?.processes ?? (elsewhere ? [] : expectedProcesses(settings).map(unstarted))).map((one) => describe(one, supervised));
    const running = (...names: ServerName[]): boolean => names.every((name) => isGiven(settings, name) || processes.find((one) => one.name === name)?.state === 'running');

    const [connector, slot, replica, lag, disk] = await Promise.all([
      running('connect') ? ask.connector() : null,
      running('postgres') ? ask.slot() : null,
      running('redis') ? ask.replica() : null,
      running('kafka', 'redis') ? ask.lag() : null,
      supervised ? readDisk(settings) : null,
    ]);
    const facts: Facts = { processes, connector: connector ?? { state: 'UNKNOWN', tasks: [], oversizedEvent: null }, slot, lag: lag ?? [], heartbeat: null, halted: {}, ...replica, disk };
    const flowing = problemsOf(facts, settings.HEARTBEAT_INTERVAL_MS);
    const problems = supervised ? [...(record.proven ? [] : ['its start is not finished']), ...flowing] : elsewhere ? flowing : ['no supervisor is running'];
    return { healthy: problems.length === 0, problems, ...facts, urls: urlsOf(settings) };
  };
}

/** What must be so in a supervised stack, and is not. Everything may run and nothing flow: only the heartbeat's age tells. */
export function problemsOf({ processes, connector, slot, lag, heartbeat, halted, disk }: Facts, heartbeatIntervalMs: number): string[] {
  const connectorStates = [connector.state, ...connector.tasks];
  const ageMsMax = Math.max(30_000, 6 * heartbeatIntervalMs);
  const required: [ok: boolean, otherwise: string][] = [
    [disk === null || disk.freeBytes >= leastFreeBytes, disk ? describeFull(disk.freeBytes) : ''],
    ...processes.map(({ name, state }): [boolean, string] => [state === 'running' || state === 'paused', `${name} ${state}`]),
    [connectorStates.length > 1 && connectorStates.every((state) => state === 'RUNNING'), `connector ${connectorStates.join('/')}`],
    [connector.oversizedEvent === null, connector.oversizedEvent ? describeOversized(connector.oversizedEvent) : ''],
    [slot?.active === true, `replication slot ${slot ? 'inactive' : 'unknown'}`],
    [lag.length > 0, 'lag unknown'],
    [heartbeat !== null, 'heartbeat unknown'],
    [heartbeat === null || heartbeat.ageMs <= ageMsMax, `no heartbeat has reached Redis for ${Math.round((heartbeat?.ageMs ?? 0) / 1000)} s`],
    ...Object.entries(halted).map(([table, why]): [boolean, string] => [false, `${table} halted: ${why}`]),
  ];
  return required.filter(([ok]) => !ok).map(([, otherwise]) => otherwise);
}

export const connectReplica = (settings: Settings, name: string): RedisStore =>
  connectRedis({ ...access.replica(settings), name, failFast: true });

const isServer = (name: ProcessName): name is ServerName => serverNames.some((one) => one === name);

/** What a start with these settings runs; a running stack is asked for its own list, whatever this shell has set. */
export const expectedProcesses = (settings: Settings): ProcessName[] =>
  processNames.filter((name) => {
    if (isServer(name)) return !isGiven(settings, name);
    if (name === 'generator') return settings.SLUICE_GENERATOR === 'on';
    if (name === 'stream-consumer' || name === 'alerts-consumer') return settings.SLUICE_STREAM === 'on';
    return !name.startsWith('cdc-consumer') || consumerNames(settings.SLUICE_CDC_CONSUMERS).some((one) => one === name);
  });

/** Without a live supervisor nothing is looked after: what still runs is called failed, the rest stopped. */
function describe(record: ProcessRecord, supervised: boolean): StackStatus['processes'][number] {
  const { name, ports, restarts } = record;
  const pid = isAlive(record) ? record.pid : null;
  const state = supervised ? record.state : pid === null ? 'stopped' : 'failed';
  return { name, pid, ports, state, restarts };
}

/**
 * Resolves with the answer, or null when there is none in time. A question whose answer is late stays open and is joined
 * by the next asking, so a frozen server costs one client, however often it is asked.
 */
function createQuestion<T>(work: () => Promise<T>): () => Promise<T | null> {
  let open: Promise<T | null> | null = null;
  return async () => {
    open ??= work()
      .catch(() => null)
      .finally(() => (open = null));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), askBudgetMs);
    });
    return Promise.race([open, late]).finally(() => clearTimeout(timer));
  };
}

const readDisk = (settings: Settings): Promise<StackStatus['disk']> => freeBytes(settings.SLUICE_DATA_DIR).then((bytes) => ({ freeBytes: bytes }), () => null);

async function readConnector(settings: Settings): Promise<StackStatus['connector'] | null> {
  const status = await connectClientOf(settings).connectorStatus(connectorName);
  if (status === null) return null;
  const log = readTail(layoutOf(settings.SLUICE_DATA_DIR).logOf('connect'));
  const traces = status.tasks.flatMap(({ trace }) => trace ?? []);
  return { state: status.connector.state, tasks: status.tasks.map(({ state }) => state), oversizedEvent: findOversizedEvent(log, traces) };
}

async function readSlot(settings: Settings): Promise<StackStatus['slot']> {
  const db = connectPostgres({ ...access.reader(settings), name: 'sluice-status', max: 1 });
  try {
    const [slot] = await db.query<{ active: boolean; walStatus: string | null; retainedBytes: string | null }>(
      `SELECT active, wal_status AS "walStatus", pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS "retainedBytes"
       FROM pg_replication_slots WHERE slot_name = $1`,
      [connectorName],
    );
    return slot ? { active: slot.active, walStatus: slot.walStatus ?? 'unknown', retainedBytes: Number(slot.retainedBytes ?? 0) } : null;
  } finally {
    await db.close();
  }
}

async function readReplica(settings: Settings): Promise<Pick<StackStatus, 'heartbeat' | 'halted'>> {
  const redis = connectReplica(settings, 'sluice-status');
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  try {
    const states = await redis.hash(keys.status);
    const [row] = await redis.strings([keys.heartbeat]);
    const halted = Object.entries(states).filter(([, state]) => state === 'halted');
    return {
      heartbeat: row ? { ageMs: Math.max(0, Date.now() - heartbeatMs(row)) } : null,
      halted: Object.fromEntries(halted.map(([table]) => [table, states[`${table}:why`] ?? 'no reason given'])),
    };
  } finally {
    await redis.close();
  }
}

/** Time at which a heartbeat row, as it stands in Redis, was written. */
export function heartbeatMs(json: string): number {
  const row: unknown = JSON.parse(json);
  return typeof row === 'object' && row !== null && 'ts' in row ? Date.parse(String(row.ts)) : Number.NaN;
}

async function readReplicaLag(settings: Settings): Promise<PartitionLag[]> {
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-status' });
  const redis = connectReplica(settings, 'sluice-status');
  try {
    const topics = tables.map(({ name }) => tableTopic(settings.TOPIC_PREFIX, name));
    return await readLag({ admin, redis, keys: createKeys(settings.REDIS_KEY_PREFIX), topics });
  } finally {
    await Promise.all([admin.close(), redis.close()]);
  }
}
