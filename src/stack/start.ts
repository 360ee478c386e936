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
import { connectServer } from './connect.ts';
import { connectClientOf, connectorName } from './connector.ts';
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
import { fetchTools, type Tools } from './tools.ts';

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
  const { step } = progress;
  const fetched = fetchTools(settings.SLUICE_TOOLS_DIR, progress, signal, serverNames.filter((name) => !isGiven(settings, name)));
  const up = (label: string, spec: ServerSpec, ...after: Promise<unknown>[]): Promise<void> => step(label, () => supervisor.start(spec), { after });
  const server = (name: ServerName, ports: number[], specOf: (tools: Tools) => ServerSpec): Promise<void> => {
    const { label } = servers[name];
    if (isGiven(settings, name)) return step(`${label} at ${urlsOf(settings)[name]}`, () => awaitServer(settings, name, signal));
    return step(`${label} on ${loopback}:${ports.join(', ')}`, async () => supervisor.start(specOf(await fetched)), { after: [fetched] });
  };

  const postgres = server('postgres', [settings.POSTGRES_PORT], () => postgresServer(settings, placePostgres(settings.SLUICE_DATA_DIR, progress.say)));
  const redis = server('redis', [settings.REDIS_PORT], (tools) => redisServer(settings, tools));
  const kafka = server('kafka', [settings.KAFKA_PORT], (tools) => kafkaServer(settings, tools));
  const temporal = server('temporal', [settings.TEMPORAL_PORT, settings.TEMPORAL_UI_PORT], (tools) => temporalServer(settings, tools));
  const connect = server('connect', [settings.CONNECT_PORT], (tools) => connectServer(settings, tools)); // waits for Kafka by itself, and has loaded its classes by then
  const { schema, topics, replica, workflows, connector } = prepareServers(settings, { postgres, kafka, connect, redis, temporal }, progress, signal);

  const consumers = consumerNames(settings.SLUICE_CDC_CONSUMERS).map((name, i) => up(i === 0 ? 'CDC consumer' : `CDC consumer ${i + 1}`, appProcess(name, settings), schema, topics, replica));
  const stream = settings.SLUICE_STREAM === 'on' ? up('Stream consumer', appProcess('stream-consumer', settings), schema, topics, replica) : null;
  const alerts = settings.SLUICE_STREAM === 'on' ? up('Alerts consumer', appProcess('alerts-consumer', settings), topics, workflows) : null;
  const worker = up('Temporal worker', appProcess('worker', settings), workflows, replica);
  const generator = settings.SLUICE_GENERATOR === 'on' ? up('Generator', appProcess('generator', settings), connector) : null;
  const proof = step('A change from PostgreSQL seen in Redis', () => proveFlow(settings, signal), { after: [connector, ...consumers] });
  await Promise.all([proof, stream, alerts, worker, generator]);
  supervisor.markProven();
}

/** Writes the heartbeat row and waits until the replica shows it, or a later one. */
async function proveFlow(settings: StackSettings, signal: AbortSignal): Promise<void> {
  const db = connectAdmin(settings, settings.POSTGRES_DB);
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-start', failFast: true });
  const { heartbeat } = createKeys(settings.REDIS_KEY_PREFIX);
  try {
    const [written] = await db.query<{ ms: string }>(
      `INSERT INTO cdc.heartbeat (id, ts) VALUES (1, clock_timestamp())
       ON CONFLICT (id) DO UPDATE SET ts = excluded.ts RETURNING floor(extract(epoch FROM ts) * 1000)::text AS ms`,
    );
    for (const deadline = Date.now() + proofBudgetMs; Date.now() < deadline; await wait(50, undefined, { signal })) {
      const [stored] = await redis.strings([heartbeat]).catch(() => []); // away: asked again
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
