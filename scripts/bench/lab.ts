/**
 * Kafka, PostgreSQL (the consumer asks it who it is) and Redis of one or two kinds, each started exactly as the stack starts
 * it, without Connect and Temporal. Invariant: what was started here is gone after `stop`, with its folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { access } from '../../src/access.ts';
import type { KafkaOptions } from '../../src/adapters/kafka-client.ts';
import { loadSettings, settingsEnvironment } from '../../src/config.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createProgress } from '../../src/stack/progress.ts';
import { ensureTopics, kafkaServer } from '../../src/stack/kafka.ts';
import { findFreePort, portSettings } from '../../src/stack/ports.ts';
import { placePostgres, removeReadablePlace } from '../../src/stack/postgres-files.ts';
import { postgresServer, prepareDatabase } from '../../src/stack/postgres.ts';
import { redisServer } from '../../src/stack/redis.ts';
import { settleSecrets, type StackSettings } from '../../src/stack/secrets.ts';
import type { ServerSpec } from '../../src/stack/server-spec.ts';
import { SupervisedProcess } from '../../src/stack/supervised-process.ts';
import { fetchTools } from '../../src/stack/tools.ts';

export interface LabRedis {
  /** `debian` or `embedded`. */
  kind: string;
  version: string;
  pid: number;
  port: number;
}

export interface Lab {
  settings: StackSettings;
  kafka: KafkaOptions;
  redis: LabRedis[];
  dir: string;
  /** Environment of one of our processes that writes to this Redis. */
  environment: (redis: LabRedis, topicPrefix: string) => Record<string, string>;
  /** Creates the topics of another prefix. */
  addTopics: (topicPrefix: string) => Promise<void>;
  stop: () => Promise<void>;
}

/** `redisFile`: a redis-server beside the embedded one; by default the one on PATH, if there is one. */
export async function startLab(redisFile: string | undefined): Promise<Lab> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const env: Record<string, string> = { SLUICE_DATA_DIR: dir };
  for (const name of portSettings) env[name] = String(await findFreePort());
  const settings = settleSecrets(loadSettings({ ...process.env, ...env }));
  mkdirSync(join(dir, 'logs'), { recursive: true });
  const started: SupervisedProcess[] = [];
  const start = async (spec: ServerSpec, logName: string = spec.name): Promise<number> => {
    const server = new SupervisedProcess(spec, { logFile: join(dir, 'logs', `${logName}.log`), say: () => undefined, onChange: () => undefined });
    started.push(server);
    await server.start();
    return server.record.pid!;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop(5000)));
    removeReadablePlace(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const tools = await fetchTools(settings.SLUICE_TOOLS_DIR, createProgress(() => undefined), new AbortController().signal);
    const debian = redisFile ?? onPath('redis-server');
    const kinds = [...(debian ? [['debian', debian] as const] : []), ['embedded', tools.redisServer] as const];
    const redis = Promise.all(kinds.map(async ([kind, file]): Promise<LabRedis> => {
      const port = await findFreePort();
      const spec = redisServer({ ...settings, SLUICE_DATA_DIR: join(dir, kind), REDIS_PORT: port }, { ...tools, redisServer: file });
      return { kind, port, version: versionOf(file), pid: await start(spec, `redis-${kind}`) };
    }));
    const kafka = start(kafkaServer(settings, tools)).then(() => createTopics(settings));
    const postgres = start(postgresServer(settings, placePostgres(dir, () => undefined))).then(() => prepareDatabase(settings));
    const [servers] = await Promise.all([redis, kafka, postgres]);
    return {
      settings,
      dir,
      kafka: { ...access.kafka(settings), clientId: 'sluice-bench' },
      redis: servers,
      environment: ({ port }, topicPrefix) => ({ ...settingsEnvironment(settings), REDIS_PORT: String(port), TOPIC_PREFIX: topicPrefix }),
      addTopics: (topicPrefix) => createTopics({ ...settings, TOPIC_PREFIX: topicPrefix }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A busy broker may not know for a moment what it has just created. */
async function createTopics(settings: StackSettings): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ensureTopics(settings);
      return;
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry' || attempt === 20) throw error;
    }
    await delay(250);
  }
}

const onPath = (name: string): string | undefined => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)).find((file) => existsSync(file));

/** `Redis server v=7.0.15 sha=…` → `Redis 7.0.15`. */
function versionOf(file: string): string {
  const text = execFileSync(file, ['--version'], { encoding: 'utf8' });
  return `${text.split(' ')[0]} ${/v=(\S+)/.exec(text)?.[1] ?? '?'}`;
}
