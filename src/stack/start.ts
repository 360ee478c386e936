/**
 * The order of a start. Everything begins as early as what it needs is there; it ends with a row that was seen to travel
 * the whole pipeline, so "healthy" is an observation and not a hope.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { access, isGiven, loopback, serverNames, servers, urlsOf, type ServerName } from '../access.ts';
import { connectRedis } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { appProcess } from './app-processes.ts';
import { connectClientOf, connectorName, connectServer } from './connect.ts';
import { kafkaServer } from './kafka.ts';
import { placePostgres } from './postgres-files.ts';
import { connectAdmin, postgresServer } from './postgres.ts';
import { prepareServers } from './prepare.ts';
import { awaitServer } from './probes.ts';
import type { Progress } from './progress.ts';
import { redisServer } from './redis.ts';
import type { StackSettings } from './secrets.ts';
import type { ServerSpec } from './server-spec.ts';
import { consumerNames } from './state-file.ts';
import { heartbeatMs } from './status.ts';
import type { Supervisor } from './supervisor.ts';
import { temporalServer } from './temporal.ts';
import { fetchTools } from './tools.ts';

const proofBudgetMs = 120_000;

export interface StartOptions {
  settings: StackSettings;
  supervisor: Supervisor;
  progress: Progress;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** Brings the whole stack up. Throws at the first thing that fails; the caller then stops the supervisor. */
export async function startStack({ settings, supervisor, progress, signal }: StartOptions): Promise<void> {
  const tools = await fetchTools(settings.SLUICE_TOOLS_DIR, progress, signal, serverNames.filter((name) => !isGiven(settings, name)));
  const up = (label: string, spec: ServerSpec): Promise<void> =>
    progress.step(spec.ports.length > 0 ? `${label} on ${loopback}:${spec.ports.join(', ')}` : label, () => supervisor.start(spec));
  const server = (name: ServerName, spec: () => ServerSpec): Promise<void> => {
    const { label } = servers[name];
    return isGiven(settings, name) ? progress.step(`${label} at ${urlsOf(settings)[name]}`, () => awaitServer(settings, name, signal)) : up(label, spec());
  };

  const postgres = server('postgres', () => postgresServer(settings, placePostgres(settings.SLUICE_DATA_DIR, progress.say)));
  const redis = server('redis', () => redisServer(settings, tools));
  const kafka = server('kafka', () => kafkaServer(settings, tools));
  const temporal = server('temporal', () => temporalServer(settings, tools));
  const connect = kafka.then(() => server('connect', () => connectServer(settings, tools)));
  const { schema, topics, replica, workflows, connector } = prepareServers(settings, { postgres, kafka, connect, redis, temporal }, progress, signal);

  const consumers = consumerNames(settings.SLUICE_CDC_CONSUMERS).map((name, i) =>
    Promise.all([schema, topics, replica]).then(() => up(i === 0 ? 'CDC consumer' : `CDC consumer ${i + 1}`, appProcess(name, settings))),
  );
  const stream = settings.SLUICE_STREAM === 'on' ? Promise.all([schema, topics, replica]).then(() => up('Stream consumer', appProcess('stream-consumer', settings))) : null;
  const alerts = settings.SLUICE_STREAM === 'on' ? Promise.all([topics, workflows]).then(() => up('Alerts consumer', appProcess('alerts-consumer', settings))) : null;
  const worker = Promise.all([workflows, replica]).then(() => up('Temporal worker', appProcess('worker', settings)));
  const generator = settings.SLUICE_GENERATOR === 'on' ? connector.then(() => up('Generator', appProcess('generator', settings))) : null;
  await Promise.all([connector, ...consumers, stream, alerts, worker, generator]);
  await progress.step('A change from PostgreSQL seen in Redis', () => proveFlow(settings, signal));
  supervisor.markProven();
}

/** Writes the heartbeat row and waits until the replica shows it, or a later one. */
async function proveFlow(settings: StackSettings, signal: AbortSignal): Promise<void> {
  const db = connectAdmin(settings, settings.POSTGRES_DB);
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-start' });
  const { heartbeat } = createKeys(settings.REDIS_KEY_PREFIX);
  try {
    const [written] = await db.query<{ ms: string }>(
      `INSERT INTO cdc.heartbeat (id, ts) VALUES (1, clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET ts = excluded.ts RETURNING floor(extract(epoch FROM ts) * 1000)::text AS ms`,
    );
    for (const deadline = Date.now() + proofBudgetMs; Date.now() < deadline; await wait(50, undefined, { signal })) {
      const [stored] = await redis.strings([heartbeat]);
      if (stored && heartbeatMs(stored) >= Number(written?.ms)) return;
    }
  } finally {
    await Promise.all([db.close(), redis.close()]);
  }
  const status = await connectClientOf(settings).connectorStatus(connectorName);
  const states = status ? [status.connector, ...status.tasks].map(({ state }) => state).join(', ') : 'not registered';
  throw new PipelineError(
    'heartbeat_late',
    `No change reached Redis within ${proofBudgetMs / 1000} s (connector: ${states}). See logs/connect.log and logs/cdc-consumer.log in SLUICE_DATA_DIR.`,
  );
}
