/** `sluice verify [--json]`: exit code 1 on any difference between PostgreSQL and Redis. */
import type { Command } from 'commander';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { access, loadSettings, type Settings } from '../config.ts';
import { readLag } from '../consumers/lag.ts';
import { createKeys } from '../domain/keys.ts';
import { tableTopic } from '../domain/topics.ts';
import { projectRoot } from '../stack/project.ts';
import type { PipelineDeps } from '../verify/pipeline.ts';
import { formatReport } from '../verify/report.ts';
import { sourceTables } from '../verify/source.ts';
import { verify } from '../verify/verify.ts';


export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('Compare every row, set and counter in Redis with PostgreSQL')
    .option('--json', 'as one JSON object')
    .action(async ({ json }: { json?: true }) => {
      const { deps, close } = connectVerify(loadSettings(undefined, projectRoot));
      try {
        const report = await verify(deps, tellProgress);
        tellProgress('');
        console.log(json ? JSON.stringify(report, null, 2) : formatReport(report));
        if (!report.ok) process.exitCode = 1;
      } finally {
        await close();
      }
    });
}

/** On a terminal only: one line that is written over. */
function tellProgress(step: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${step && `comparing ${step}`}`);
}

/** What verify needs of a running stack. It writes nothing but the hold: to PostgreSQL it is the reader, to Redis a consumer. */
function connectVerify(settings: Settings): { deps: PipelineDeps; close: () => Promise<void> } {
  const name = 'sluice-verify';
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  const topics = sourceTables.map(({ table }) => tableTopic(settings.TOPIC_PREFIX, table));
  const db = connectPostgres({ ...access.reader(settings), name, max: 2 });
  const redis = connectRedis({ ...access.replica(settings), name, failFast: true });
  const admin = createKafkaAdmin({ brokers: access.brokers(settings), clientId: name });
  return {
    deps: {
      db,
      redis,
      keys,
      readEnds: async () => (await Promise.all(topics.map(async (topic) => (await admin.offsets(topic)).map((end) => ({ topic, ...end }))))).flat(),
      readLag: () => readLag({ admin, redis, keys, topics }),
      patienceMs: 2 * settings.HEARTBEAT_INTERVAL_MS + 5_000,
    },
    close: async () => {
      await Promise.allSettled([db.close(), redis.close(), admin.close()]);
    },
  };
}
