/** Composition root of the CDC consumer: change topics → replica in Redis. */
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { createKafkaProducer } from '../adapters/kafka-producer.ts';
import { connectPostgres, type Database } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { access } from '../config.ts';
import { CdcProcessor } from '../consumers/cdc/processor.ts';
import { readSourceSchema } from '../consumers/cdc/source-schema.ts';
import { consume } from '../consumers/consume.ts';
import { createDeadLetterSink } from '../consumers/dead-letters.ts';
import { RedisPresence } from '../consumers/redis-presence.ts';
import { createReplicaStatus } from '../replica/status.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { contributionSpec, tables } from '../domain/tables/registry.ts';
import { deadLetterTopic, groups, tableTopic } from '../domain/topics.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import { runProcess, type ProcessContext } from './process.ts';
import { waitFor } from './wait-for.ts';

await runProcess('cdc-consumer', async (context) => {
  const { settings, log, signal, ready } = context;
  const kafka = { brokers: access.brokers(settings), clientId: 'sluice-cdc' };
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  const admin = createKafkaAdmin(kafka);
  const producer = createKafkaProducer(kafka);
  const presence = new RedisPresence(log);
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-cdc', onConnection: presence.connection });
  void presence.watch(redis, signal);
  const topicTables = new Map(tables.map(({ name }) => [tableTopic(settings.TOPIC_PREFIX, name), name]));
  const status = createReplicaStatus(redis, keys);
  const db = connectPostgres({ ...access.reader(settings), name: 'sluice-cdc', max: 1 });
  const source = await readIdentity(db, context);
  const processor = new CdcProcessor({
    redis,
    keys,
    status,
    tables,
    schema: await waitFor('Redis', log, signal, () => readSourceSchema({ db, redis, keys, tables })),
    topicPrefix: settings.TOPIC_PREFIX,
    changesMax: settings.CDC_CHANGES_MAX,
    deadLetters: createDeadLetterSink(producer, deadLetterTopic(groups.cdc), log.warn.bind(log)),
    failpoint: createFailpoint(settings.SLUICE_FAILPOINT_DIR),
  });
  const identity = { ...source, cluster: await waitFor('Kafka', log, signal, () => admin.clusterId()), prefix: settings.TOPIC_PREFIX };

  await consume(
    {
      consumer: { ...kafka, group: groups.cdc, topics: processor.topics, sessionTimeoutMs: settings.KAFKA_SESSION_TIMEOUT_MS, concurrency: 8, ...(settings.KAFKA_INSTANCE_ID && { instanceId: settings.KAFKA_INSTANCE_ID }) },
      claim: { redis, admin, keys, spec: contributionSpec, identity, status, tables: tables.map(({ name }) => name), tableOf: (topic) => topicTables.get(topic) ?? null },
      processor,
      admin,
      limits: { rowsMax: settings.CDC_BATCH_ROWS_MAX, bytesMax: settings.CDC_BATCH_BYTES_MAX },
      log,
      ready,
      stallMs: settings.WATCHDOG_STALL_MS,
      presence,
    },
    signal,
  );
  await Promise.all([admin.close(), producer.close(), redis.close(), db.close()]);
});

/** Which database this pipeline copies. Refuses one whose columns would collide with the engine's members of a row. */
async function readIdentity(db: Database, { log, signal }: ProcessContext): Promise<{ system: string; slot: string }> {
  const [row] = await waitFor('PostgreSQL', log, signal, () => db.query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()'));
  const refused = await db.query<{ name: string }>(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = ANY($1) AND left(column_name, 1) = '_'`,
    [tables.map(({ name }) => name)],
  );
  if (refused.length > 0) throw new PipelineError('source_refused', `Columns that begin with _ are the replica's own: rename ${refused.map(({ name }) => name).join(', ')}`);
  return { system: row!.id, slot: 'sluice' };
}
