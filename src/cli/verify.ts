/**
 * `sluice verify [--json]`: exit code 1 when Redis is not equal to PostgreSQL. The result alone is on stdout.
 * Interrupted, it ends at once, and lets the consumers go should it hold them.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { access } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { loadSettings, type Settings } from '../config.ts';
import { windowAt } from '../domain/batch-window.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys, streamKeys, type Keys } from '../domain/keys.ts';
import { tableTopic } from '../domain/topics.ts';
import { readEnds, readLag } from '../replica/lag.ts';
import { projectRoot } from '../stack/project.ts';
import { formatBatchReport, verifyBatch } from '../verify/batch.ts';
import { releaseHold, type PipelineDeps } from '../verify/pipeline.ts';
import { formatReport } from '../verify/report.ts';
import { sourceTables } from '../verify/source.ts';
import { formatStreamReport, verifyStream } from '../verify/stream.ts';
import { verify } from '../verify/verify.ts';
import { batchProgressQuery, batchWorkflowType, type BatchInput, type BatchResult } from '../workflows/batch-contract.ts';
import { taskQueue } from '../workflows/contract.ts';
import { createProgressLine } from './progress-line.ts';

export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('Compare every row, set and counter in Redis with PostgreSQL')
    .option('--batch', 'the batch instead: runs it over a snapshot, publishes nothing, and compares its records with SQL in the same snapshot')
    .option('--stream', "the stream's windows instead, against SQL by minute")
    .option('--json', 'as one JSON object')
    .action(async ({ json, batch, stream }: { json?: true; batch?: true; stream?: true }) => {
      if (batch) return verifyTheBatch(json === true);
      if (stream) return verifyTheStream(json === true);
      const stop = new AbortController();
      const { deps, close } = connectVerify(loadSettings(undefined, projectRoot), stop.signal);
      const line = createProgressLine();
      endOnSignals(stop, async () => {
        line.clear();
        await releaseHold(deps);
      });
      try {
        const report = await verify(deps, ({ step, done, total, share }) => line.show(share, `${step}: ${Math.floor(done)} of ${Math.floor(total)}`));
        line.clear();
        console.log(json ? JSON.stringify(report, null, 2) : formatReport(report));
        if (!report.ok) process.exitCode = 1;
      } finally {
        line.clear();
        await close();
      }
    });
}

async function verifyTheStream(json: boolean): Promise<void> {
  const stop = new AbortController();
  const { deps, close } = connectVerify(loadSettings(undefined, projectRoot), stop.signal, streamKeys);
  endOnSignals(stop, () => releaseHold(deps));
  try {
    const report = await verifyStream(deps, Date.now());
    console.log(json ? JSON.stringify(report, null, 2) : formatStreamReport(report));
    if (!report.ok) process.exitCode = 1;
  } finally {
    await close();
  }
}

async function verifyTheBatch(json: boolean): Promise<void> {
  const settings = loadSettings(undefined, projectRoot);
  const window = windowAt(Date.now(), 1000, settings.BATCH_WINDOW_HOURS * 3_600_000);
  const db = connectPostgres({ ...access.batchReader(settings), name: 'sluice-verify', max: 1 });
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-verify', failFast: true });
  const line = createProgressLine();
  try {
    const { unlessAway, withTemporal } = await import('./follow-workflow.ts'); // only --batch asks Temporal
    await withTemporal(async (temporal) => {
      const id = `batch-etl/verify/${randomUUID()}`;
      const giveUp = (): Promise<unknown> => temporal.cancelWorkflow(id).catch(() => false);
      endOnSignals(new AbortController(), async () => {
        line.clear();
        await giveUp(); // it would try to join a snapshot that is gone
      });
      /** Meanwhile the tables are locked against ALTER and TRUNCATE, and the shop behind those: nothing is waited for that nobody does. */
      const runBatch = async (snapshot: string): Promise<string> => {
        const input: BatchInput = { window, publish: 'none', snapshot };
        await temporal.startWorkflow({ id, type: batchWorkflowType, taskQueue, args: [input], note: 'sluice verify --batch' });
        for (const deadlineMs = Date.now() + workerMsMax; !(await unlessAway(() => temporal.queryWorkflow(id, batchProgressQuery))); await delay(500)) {
          if (Date.now() > deadlineMs) throw new PipelineError('temporal_unavailable', `No worker has taken ${id} up within ${workerMsMax / 1000} s: npx sluice status says which process is missing`);
        }
        const result = await temporal.awaitResult<BatchResult>(id);
        if (result === null) throw new PipelineError('bad_argument', `${id} did not complete, there is nothing to compare: see Temporal's web interface`);
        return result.runId;
      };
      const deps = { db, redis, keys: createKeys(settings.REDIS_KEY_PREFIX), window, runBatch };
      try {
        const report = await verifyBatch(deps, (step, checked) => line.show(0, `${step}: ${checked}`));
        line.clear();
        console.log(json ? JSON.stringify(report, null, 2) : formatBatchReport(report));
        if (!report.ok) process.exitCode = 1;
      } finally {
        await giveUp();
      }
    });
  } finally {
    line.clear();
    await Promise.allSettled([db.close(), redis.close()]);
  }
}

const releaseMsMax = 2_000;
const workerMsMax = 30_000;

/** The exit code a shell expects of a program that a signal has ended. What reads on meanwhile ends with the process. */
function endOnSignals(stop: AbortController, tidy: () => Promise<void>): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      stop.abort(new Error(`ended by ${signal}`));
      const end = (): never => process.exit(128 + constants.signals[signal]);
      setTimeout(end, releaseMsMax);
      tidy().then(end, end);
    });
  }
}

/** What verify needs of a running stack. It writes nothing but the hold: to PostgreSQL it is the reader, to Redis a consumer. */
function connectVerify(settings: Settings, signal: AbortSignal, keysOf = (keys: Keys): Keys => keys): { deps: PipelineDeps; close: () => Promise<void> } {
  const name = 'sluice-verify';
  const keys = keysOf(createKeys(settings.REDIS_KEY_PREFIX));
  const topics = sourceTables.map(({ table }) => tableTopic(settings.TOPIC_PREFIX, table));
  const db = connectPostgres({ ...access.reader(settings), name, max: 4 });
  const redis = connectRedis({ ...access.replica(settings), name, failFast: true });
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: name });
  return {
    deps: {
      db,
      redis,
      keys,
      readEnds: () => readEnds({ admin, topics }),
      readLag: () => readLag({ admin, redis, keys, topics }),
      patienceMs: 2 * settings.HEARTBEAT_INTERVAL_MS + 5_000,
      holder: randomUUID(),
      signal,
    },
    close: async () => {
      await Promise.allSettled([db.close(), redis.close(), admin.close()]);
    },
  };
}
