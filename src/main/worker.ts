/** Composition root of the Temporal worker: workflows from the prebuilt bundle, activities over real adapters, schedules. */
import { DefaultLogger, NativeConnection, Runtime, Worker, type LogLevel } from '@temporalio/worker';
import { createHeartbeatActivities } from '../activities/heartbeat.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import { access } from '../config.ts';
import { createKeys } from '../domain/keys.ts';
import { heartbeatScheduleId, heartbeatWorkflowId, taskQueue } from '../workflows/contract.ts';
import { runProcess } from './process.ts';
import { waitFor } from './wait-for.ts';
import { workflowBundlePath } from './workflow-bundle-path.ts';

await runProcess('worker', async ({ settings, log, signal, ready }) => {
  const bridged = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const satisfies Record<LogLevel, string>;
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log[bridged[level]]({ ...meta }, message)),
    shutdownSignals: [],
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
  const db = connectPostgres({ ...access.reader(settings), name: 'sluice-worker', max: 2 });
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-worker' });
  const connection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({
    connection,
    namespace: temporal.namespace,
    taskQueue,
    workflowBundle: { codePath: workflowBundlePath },
    activities: createHeartbeatActivities({ db, redis, keys: createKeys(settings.REDIS_KEY_PREFIX), patienceMs: 20_000 }),
    shutdownGraceTime: '2 seconds',
    maxCachedWorkflows: 100,
  });
  signal.addEventListener('abort', () => worker.shutdown(), { once: true });
  ready();
  await worker.run();
  await Promise.all([client.close(), connection.close(), db.close(), redis.close()]);
});
