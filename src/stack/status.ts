/**
 * What `sluice status` shows: the supervisor's record, checked against the processes that really live, and what the
 * servers say about connector, slot and lag. A part that cannot be asked is null or empty, never an error.
 */
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis, type RedisStore } from '../adapters/redis.ts';
import { requireSecret, type Settings } from '../config.ts';
import { readLag, type PartitionLag } from '../consumers/lag.ts';
import { createKeys } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import { groups, tableTopic } from '../domain/topics.ts';
import { connectClientOf, connectorName } from './connect.ts';
import { brokersOf } from './kafka.ts';
import { host } from './ports.ts';
import { layoutOf } from './project.ts';
import { consumerUser } from './redis.ts';
import { isAlive, processNames, readStackRecord, unstarted, type ProcessName, type ProcessRecord, type ProcessState } from './state-file.ts';

export interface StackStatus {
  healthy: boolean;
  processes: { name: ProcessName; pid: number | null; ports: number[]; state: ProcessState; restarts: number }[];
  connector: { state: string; tasks: string[] };
  slot: { active: boolean; walStatus: string; retainedBytes: number } | null;
  lag: PartitionLag[];
  /** Tables that stand still until someone looks, with the reason. */
  halted: Record<string, string>;
  urls: Record<string, string>;
}

const askBudgetMs = 5000;

/** Opens nothing that stays open. */
export async function readStatus(settings: Settings): Promise<StackStatus> {
  const record = readStackRecord(layoutOf(settings.SLUICE_DATA_DIR).stateFile);
  const supervised = record !== null && isAlive(record.supervisor);
  const processes = (record?.processes ?? expectedProcesses(settings).map(unstarted)).map((one) => describe(one, supervised));
  const running = (...names: ProcessName[]): boolean => names.every((name) => processes.find((one) => one.name === name)?.state === 'running');

  const [connector, slot, replica] = await Promise.all([
    running('connect') ? answer(readConnector(settings)) : null,
    running('postgres') ? answer(readSlot(settings)) : null,
    running('kafka', 'redis') ? answer(readReplica(settings)) : null,
  ]);
  const healthy =
    supervised &&
    record.proven &&
    processes.every(({ state }) => state === 'running') &&
    connector?.state === 'RUNNING' &&
    connector.tasks.length > 0 &&
    connector.tasks.every((state) => state === 'RUNNING') &&
    slot?.active === true &&
    replica !== null &&
    Object.keys(replica.halted).length === 0;
  return { healthy, processes, connector: connector ?? { state: 'UNKNOWN', tasks: [] }, slot, lag: replica?.lag ?? [], halted: replica?.halted ?? {}, urls: urlsOf(settings) };
}

export const urlsOf = (settings: Settings): Record<string, string> => ({
  temporalWeb: `http://${host}:${settings.TEMPORAL_UI_PORT}`,
  connect: `http://${host}:${settings.CONNECT_PORT}`,
  postgres: `postgresql://${settings.POSTGRES_USER}@${host}:${settings.POSTGRES_PORT}/${settings.POSTGRES_DB}`,
  redis: `redis://${host}:${settings.REDIS_PORT}`,
  kafka: `${host}:${settings.KAFKA_PORT}`,
  temporal: `${host}:${settings.TEMPORAL_PORT}`,
});

export const connectReplica = (settings: Settings, name: string): RedisStore =>
  connectRedis({ host, port: settings.REDIS_PORT, user: consumerUser, password: requireSecret(settings, 'SLUICE_REDIS_PASSWORD'), name, failFast: true });

/** What a start with these settings runs; a running stack is asked for its own list, whatever this shell has set. */
export const expectedProcesses = (settings: Settings): ProcessName[] =>
  processNames.filter((name) => name !== 'generator' || settings.SLUICE_GENERATOR === 'on');

/** Without a live supervisor nothing is looked after: what still runs is called failed, the rest stopped. */
function describe(record: ProcessRecord, supervised: boolean): StackStatus['processes'][number] {
  const { name, ports, restarts } = record;
  const pid = isAlive(record) ? record.pid : null;
  const state = supervised ? record.state : pid === null ? 'stopped' : 'failed';
  return { name, pid, ports, state, restarts };
}

/** The answer, or null when there is none in time. */
async function answer<T>(asked: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), askBudgetMs);
  });
  return Promise.race([asked.catch(() => null), late]).finally(() => clearTimeout(timer));
}

async function readConnector(settings: Settings): Promise<StackStatus['connector'] | null> {
  const status = await connectClientOf(settings).connectorStatus(connectorName);
  return status && { state: status.connector.state, tasks: status.tasks.map(({ state }) => state) };
}

async function readSlot(settings: Settings): Promise<StackStatus['slot']> {
  const password = requireSecret(settings, 'SLUICE_READER_PASSWORD');
  const db = connectPostgres({ host, port: settings.POSTGRES_PORT, database: settings.POSTGRES_DB, user: 'sluice_reader', password, name: 'sluice-status', max: 1 });
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

async function readReplica(settings: Settings): Promise<Pick<StackStatus, 'lag' | 'halted'>> {
  const admin = createKafkaAdmin({ brokers: brokersOf(settings), clientId: 'sluice-status' });
  const redis = connectReplica(settings, 'sluice-status');
  try {
    const topics = tables.map(({ name }) => tableTopic(settings.TOPIC_PREFIX, name));
    const keys = createKeys(settings.REDIS_KEY_PREFIX);
    const states = await redis.hash(keys.status);
    const halted = Object.entries(states).filter(([, state]) => state === 'halted');
    return {
      lag: await readLag({ admin, redis, keys, group: groups.cdc, topics }),
      halted: Object.fromEntries(halted.map(([table]) => [table, states[`${table}:why`] ?? 'no reason given'])),
    };
  } finally {
    await Promise.all([admin.close(), redis.close()]);
  }
}
