/** Whether each server answers as the pipeline needs it: one attempt, which rejects until it does. The same for ours and for given ones. */
import { setTimeout as wait } from 'node:timers/promises';
import { access, maintenanceDatabase, servers, urlsOf, type ServerName } from '../access.ts';
import { createConnectClient } from '../adapters/connect.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import { connectPostgres } from '../adapters/postgres.ts';
import { connectRedis } from '../adapters/redis.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { readyBudgetMs } from './server-spec.ts';

const name = 'sluice-start';

export const probes: Record<ServerName, (settings: Settings) => Promise<unknown>> = {
  postgres: (settings) => closing(connectPostgres({ ...access.owner(settings, maintenanceDatabase), name, max: 1 }), (db) => db.query('SELECT 1')),
  kafka: (settings) => closing(createKafkaAdmin({ ...access.kafka(settings), clientId: name }), (admin) => admin.waitReady()),
  connect: (settings) => createConnectClient(access.connectUrl(settings)).ready(),
  redis: (settings) => closing(connectRedis({ ...access.redisAdmin(settings), name, failFast: true }), (redis) => redis.ping()),
  temporal: async (settings) => closing(await connectTemporal(access.temporal(settings)), (temporal) => temporal.requireNamespace()),
};

/** Resolves when a server that somebody else starts answers. Throws what it said last, at once when time will not change it. */
export async function awaitServer(settings: Settings, server: ServerName, signal: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + readyBudgetMs; ; await wait(500, undefined, { signal })) {
    try {
      await probes[server](settings);
      return;
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      const { label, address } = servers[server];
      if (error.action !== 'retry' || Date.now() > deadline) throw new PipelineError(error.code, `${label} (${address}, ${urlsOf(settings)[server]}): ${error.message}`, { cause: error });
    }
  }
}

async function closing<C extends { close: () => Promise<unknown> }>(client: C, work: (client: C) => Promise<unknown>): Promise<void> {
  try {
    await work(client);
  } finally {
    await client.close();
  }
}
