/** What the consumers of change topics have in common: from settings to a group that reads until told to stop. */
import { access } from '../access.ts';
import { createKafkaAdmin, type KafkaAdmin } from '../adapters/kafka-admin.ts';
import { createKafkaProducer, type KafkaProducer } from '../adapters/kafka-producer.ts';
import { connectPostgres, type Database } from '../adapters/postgres.ts';
import { connectRedis, type RedisStore } from '../adapters/redis.ts';
import { CdcProcessor } from '../consumers/cdc/processor.ts';
import type { Windows } from '../consumers/processor.ts';
import { readSourceSchema } from '../consumers/cdc/source-schema.ts';
import { consume } from '../consumers/consume.ts';
import type { DeadLetterSink } from '../consumers/dead-letters.ts';
import { RedisPresence } from '../consumers/redis-presence.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys, type Keys } from '../domain/keys.ts';
import type { Table } from '../domain/tables/table.ts';
import { tableTopic } from '../domain/topics.ts';
import { createReplicaStatus } from '../replica/status.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import type { ProcessContext } from './process.ts';
import { waitFor } from './wait-for.ts';

export interface TableConsumer {
  /** Client id, and name of its connections. */
  name: string;
  /** First part of the names of its failpoints. */
  failpoints: string;
  group: string;
  tables: readonly Table[];
  /** Names what the contributions of the tables mean. */
  spec: string;
  changesMax: number;
  /** Most events of one commit. */
  rowsMax: number;
  keysOf: (keys: Keys) => Keys;
  deadLetters: (producer: KafkaProducer) => DeadLetterSink;
  windows?: (redis: RedisStore, keys: Keys) => Windows;
  /** Runs beside the reading, until `signal`; its failure ends the process. */
  beside?: (connections: Connections, signal: AbortSignal) => Promise<void>;
}

export interface Connections {
  redis: RedisStore;
  keys: Keys;
  producer: KafkaProducer;
  admin: KafkaAdmin;
  /** Of the tables. */
  topics: string[];
}

/** Resolves when the process has been told to stop and everything is closed. */
export async function runTableConsumer({ name, failpoints, group, tables, spec, changesMax, rowsMax, keysOf, deadLetters, windows, beside }: TableConsumer, context: ProcessContext): Promise<void> {
  const { settings, log, signal, ready } = context;
  const kafka = { ...access.kafka(settings), clientId: name };
  const replica = createKeys(settings.REDIS_KEY_PREFIX);
  const keys = keysOf(replica);
  const admin = createKafkaAdmin(kafka);
  const producer = createKafkaProducer(kafka);
  const presence = new RedisPresence(log);
  const redis = connectRedis({ ...access.replica(settings), name, onConnection: presence.connection });
  void presence.watch(redis, signal);
  const topicTables = new Map(tables.map((table) => [tableTopic(settings.TOPIC_PREFIX, table.name), table.name]));
  const status = createReplicaStatus(redis, keys, keys === replica ? undefined : name);
  const db = connectPostgres({ ...access.reader(settings), name, max: 1 });
  const source = await readIdentity(db, tables, context);
  const failpoint = createFailpoint(settings.SLUICE_FAILPOINT_DIR);
  const processor = new CdcProcessor({
    redis,
    keys,
    status,
    tables,
    schema: await waitFor('Redis', log, signal, () => readSourceSchema({ db, redis, keys, tables })),
    topicPrefix: settings.TOPIC_PREFIX,
    changesMax,
    deadLetters: deadLetters(producer),
    failpoint: (point) => failpoint(`${failpoints}.${point}`),
    ...(keys !== replica && { letterKeys: replica }),
    ...(windows && { windows: windows(redis, keys) }),
  });
  const identity = { ...source, cluster: await waitFor('Kafka', log, signal, () => admin.clusterId()), prefix: settings.TOPIC_PREFIX };

  const reading = consume(
    {
      consumer: { ...kafka, group, topics: processor.topics, sessionTimeoutMs: settings.KAFKA_SESSION_TIMEOUT_MS, concurrency: 8, ...(settings.KAFKA_INSTANCE_ID && { instanceId: settings.KAFKA_INSTANCE_ID }) },
      claim: { redis, admin, keys, spec, identity, status, tables: tables.map((table) => table.name), tableOf: (topic) => topicTables.get(topic) ?? null },
      processor,
      admin,
      limits: { rowsMax, bytesMax: settings.CDC_BATCH_BYTES_MAX },
      log,
      ready,
      stallMs: settings.WATCHDOG_STALL_MS,
      presence,
    },
    signal,
  );
  await Promise.all([reading, beside?.({ redis, keys, producer, admin, topics: [...topicTables.keys()] }, signal)]);
  await Promise.all([admin.close(), producer.close(), redis.close(), db.close()]);
}

/** Which database this pipeline copies. Refuses one whose columns would collide with the engine's members of a row. */
async function readIdentity(db: Database, tables: readonly Table[], { log, signal }: ProcessContext): Promise<{ system: string; slot: string }> {
  const [row] = await waitFor('PostgreSQL', log, signal, () => db.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()'));
  const refused = await db.query<{ name: string }>(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = ANY($1) AND left(column_name, 1) = '_'`,
    [tables.map(({ name }) => name)],
  );
  if (refused.length > 0) throw new PipelineError('source_refused', `Columns that begin with _ are the replica's own: rename ${refused.map(({ name }) => name).join(', ')}`);
  return { system: row!.id, slot: 'sluice' };
}
