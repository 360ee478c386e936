/** Composition root of the Temporal worker: workflows from the prebuilt bundle, activities over real adapters, schedules. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import { access } from '../access.ts';
import { createAlertActivities } from '../activities/alerts.ts';
import { createAlertSweepActivities } from '../activities/alert-sweep.ts';
import { createBatchActivities } from '../activities/batch.ts';
import { createHeartbeatActivities } from '../activities/heartbeat.ts';
import { translateFailures } from '../activities/failure.ts';
import { createRebuildActivities } from '../activities/rebuild.ts';
import { createRebuildStatusActivities } from '../activities/rebuild-status.ts';
import { createSnapshotActivities } from '../activities/snapshot.ts';
import { createSuperviseActivities, type SuperviseDeps } from '../activities/supervise.ts';
import { endAlert, raiseAlert } from '../adapters/alert-workflow.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import type { KafkaOptions } from '../adapters/kafka-client.ts';
import { findHeldUp, writeTransaction } from '../adapters/kafka-transactions.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { connectTemporal, connectionOptions, type TemporalClient, type WorkflowSchedule } from '../adapters/temporal.ts';
import { createDirectoryStaging } from '../batch/directory-staging.ts';
import { createRedisStaging } from '../batch/redis-staging.ts';
import type { Settings } from '../config.ts';
import { createKeys } from '../domain/keys.ts';
import { tables } from '../domain/tables/registry.ts';
import { streamTables } from '../domain/stream/tables.ts';
import { connectOffsetsTopic, groups, heartbeatTopic, notificationTopic, tableTopic, transactionalId } from '../domain/topics.ts';
import { connectClientOf, connectorConfig, connectorName, registerConnector } from '../stack/connector.ts';
import { topicSpecs } from '../stack/kafka.ts';
import { layoutOf } from '../stack/project.ts';
import { createFailpoint } from '../telemetry/failpoint.ts';
import { alertSweepScheduleId } from '../workflows/alert-contract.ts';
import { batchDetails, batchScheduleId, batchWorkflowType, type BatchInput } from '../workflows/batch-contract.ts';
import { heartbeatScheduleId, heartbeatWorkflowId, rebuildEverythingId, rebuildWorkflowId, supervisorWorkflowId, taskQueue } from '../workflows/contract.ts';
import { alertDeps } from './alert-deps.ts';
import { runProcess } from './process.ts';
import { waitFor } from './wait-for.ts';
import { workflowBundlePath } from './workflow-bundle-path.ts';

await runProcess('worker', async ({ settings, log, signal, ready }) => {
  const bridged = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const satisfies Record<LogLevel, string>;
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log[bridged[level]]({ ...meta }, message)),
    shutdownSignals: [],
    ...(settings.WORKER_METRICS_PORT > 0 && { telemetryOptions: { metrics: { prometheus: { bindAddress: `127.0.0.1:${settings.WORKER_METRICS_PORT}` } } } }),
  });
  const temporal = access.temporal(settings);
  const client = await waitFor('Temporal', log, signal, () => connectTemporal(temporal));
  await waitFor('Temporal', log, signal, () =>
    client.ensureSchedule({
      id: heartbeatScheduleId,
      workflowType: 'pipelineHeartbeat',
      workflowId: heartbeatWorkflowId,
      taskQueue,
      everySeconds: settings.HEARTBEAT_CHECK_SECONDS,
      note: 'the heartbeat row reaches Redis',
    }),
  );
  await waitFor('Temporal', log, signal, () =>
    client.startWorkflow({ id: supervisorWorkflowId, type: 'superviseConnector', taskQueue, args: [], note: 'keeps the connector running, has tables read again that must be' }),
  );
  await waitFor('Temporal', log, signal, () => client.ensureSchedule(batchSchedule(settings)));
  await waitFor('Temporal', log, signal, () =>
    client.ensureSchedule({ id: alertSweepScheduleId, workflowType: 'sweepAlerts', workflowId: alertSweepScheduleId, taskQueue, everySeconds: 300, note: 'alerts whose workflow is gone are not open' }),
  );
  const { activities, close } = createActivities(settings, client);
  const connection = await NativeConnection.connect(connectionOptions(temporal));
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue,
    workflowBundle: { codePath: workflowBundlePath },
    activities,
    shutdownGraceTime: '2 seconds',
    maxCachedWorkflows: 100,
    maxHeartbeatThrottleInterval: '2 seconds', // a cancel travels back with a heartbeat
  });
  signal.addEventListener('abort', () => worker.shutdown(), { once: true });
  ready();
  await worker.run();
  await Promise.all([client.close(), connection.close(), close()]);
});

/** Changing a setting and starting again changes the schedule and nothing else: a pause stays. */
function batchSchedule({ BATCH_INTERVAL_SECONDS: everySeconds, BATCH_WINDOW_HOURS: windowHours }: Settings): WorkflowSchedule {
  return {
    id: batchScheduleId,
    workflowType: batchWorkflowType,
    workflowId: batchScheduleId,
    taskQueue,
    everySeconds,
    args: [{ intervalSeconds: everySeconds, windowHours, publish: 'latest' } satisfies BatchInput],
    catchupMinutes: 5,
    note: `batch of the last ${windowHours} h`,
    details: batchDetails,
  };
}

/** A folder of this process's own; those of processes that died are removed, one of the same pid too: in a container it is always the same. */
function ownScratch(root: string): string {
  mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const pid of readdirSync(root)) if (pid === String(process.pid) || !existsSync(`/proc/${pid}`)) rmSync(join(root, pid), { recursive: true, force: true });
  return join(root, String(process.pid));
}

/** Everything that workflows may do, over one set of connections. A command to a Redis that is away fails and is tried again by Temporal. */
function createActivities(settings: Settings, temporal: TemporalClient): { activities: object; close: () => Promise<unknown> } {
  const name = 'sluice-worker';
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  const topicPrefix = settings.TOPIC_PREFIX;
  const kafka = { ...access.kafka(settings), clientId: name };
  const db = connectPostgres({ ...access.reader(settings), name, max: 2 });
  const source = connectPostgres({ ...access.replication(settings), name, max: 1 });
  const redis = connectRedis({ ...access.replica(settings), name, failFast: true });
  const admin = createKafkaAdmin(kafka);
  const topicMaker = createKafkaAdmin(kafka); // kafkajs makes nothing while a topic is missing of which it was ever asked: this one asks of none
  const shared = { redis, keys, admin, db, topicPrefix, connect: connectClientOf(settings), connector: connectorName };
  const tableNames = tables.map((table) => table.name);
  const topics = [...tableNames.map((table) => tableTopic(topicPrefix, table)), heartbeatTopic(topicPrefix), notificationTopic(topicPrefix)];
  const { scratch } = layoutOf(settings.SLUICE_DATA_DIR);
  const ttlMs = settings.BATCH_STAGING_TTL_HOURS * 3_600_000;
  const staging =
    settings.BATCH_STAGING === 'redis'
      ? createRedisStaging({ redis, keys, ttlMs, bytesMax: settings.BATCH_STAGING_BYTES_MAX })
      : createDirectoryStaging({ dir: access.stagingDir(settings), ttlMs });
  const makeMissingTopics = (): Promise<void> => topicMaker.makeMissing(topicSpecs(settings));
  const silentMs = Math.max(settings.CONNECTOR_SILENT_MS, 6 * settings.HEARTBEAT_INTERVAL_MS);
  return {
    activities: {
      ...createHeartbeatActivities({ db, redis, keys, patienceMs: 20_000 }),
      ...translateFailures(
        createBatchActivities({
          ...{ redis, keys, temporal, scratchDir: ownScratch(scratch) },
          connectSource: () => connectPostgres({ ...access.batchReader(settings), name: 'sluice-batch' }),
          staging,
          supersededMs: settings.BATCH_KEEP_SECONDS * 1000,
          keptMs: settings.BATCH_BACKFILL_KEEP_HOURS * 3_600_000,
          memoryMb: settings.BATCH_MEMORY_MB,
          threads: Math.min(4, availableParallelism()),
          readers: settings.BATCH_EXTRACT_READERS,
          pageRows: settings.BATCH_PAGE_ROWS,
          pageBytes: settings.BATCH_PAGE_BYTES,
          failuresMost: settings.BATCH_FAILURES_MOST,
          pause: async (note) => void (await temporal.pauseSchedule(batchScheduleId, note)),
          raiseAlert: (alert) => raiseAlert(temporal, alert),
          endAlert: (alert) => endAlert(temporal, alert),
          failpoint: createFailpoint(settings.SLUICE_FAILPOINT_DIR),
        }),
      ),
      ...translateFailures(createAlertActivities({ redis, keys, ...alertDeps(settings) })),
      ...translateFailures(createAlertSweepActivities({ redis, keys, temporal })),
      ...translateFailures(createRebuildActivities({ ...shared, latenessMs: settings.STREAM_ALLOWED_LATENESS_MS })),
      ...translateFailures(createRebuildStatusActivities(shared)),
      ...translateFailures(createSnapshotActivities({ ...shared, kafka, source, config: connectorConfig(settings) })),
      ...translateFailures(createSuperviseActivities({ ...shared, ...transactionsOf(kafka, topics), isRebuilding: (table) => runs(temporal, rebuildWorkflowId([table], 'snapshot'), rebuildEverythingId), isSourceRenewed: () => runs(temporal, rebuildEverythingId), source, tables, readers: { [groups.stream]: streamTables }, topics, silentMs, makeMissingTopics, registerConnector: () => registerConnector(settings, redis) })),
    },
    close: () => Promise.all([db.close(), source.close(), redis.close(), admin.close(), topicMaker.close()]),
  };
}

async function runs(temporal: TemporalClient, ...ids: string[]): Promise<boolean> {
  for (const id of ids) if ((await temporal.describeWorkflow(id))?.status === 'RUNNING') return true;
  return false;
}

/** Those in which the connector writes. The key is that of a tombstone that deletes nothing, whoever reads it. */
function transactionsOf(kafka: KafkaOptions, topics: string[]): Pick<SuperviseDeps, 'findHeldUp' | 'endTransaction'> {
  return {
    findHeldUp: () => findHeldUp(kafka, [...topics, connectOffsetsTopic]),
    endTransaction: (partitions) => writeTransaction(kafka, transactionalId(connectorName), partitions, '{"id":0}'),
  };
}
