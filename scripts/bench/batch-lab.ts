/**
 * PostgreSQL with two shops of different size and an empty Redis, each server started exactly as the stack starts it.
 * Invariant: what was started here is gone after `stop`, with its folder.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { loadSettings, settingsEnvironment } from '../../src/config.ts';
import { createProgress } from '../../src/stack/progress.ts';
import { findFreePort } from '../../src/stack/ports.ts';
import { layoutOf } from '../../src/stack/project.ts';
import { placePostgres, removeReadablePlace } from '../../src/stack/postgres-files.ts';
import { postgresServer } from '../../src/stack/postgres.ts';
import { redisServer } from '../../src/stack/redis.ts';
import { settleSecrets, type StackSettings } from '../../src/stack/secrets.ts';
import type { ServerSpec } from '../../src/stack/server-spec.ts';
import { SupervisedProcess } from '../../src/stack/supervised-process.ts';
import { fetchTools } from '../../src/stack/tools.ts';
import { fillShop, type ShopSize } from './shop.ts';

export interface BatchLab {
  settings: StackSettings;
  /** Of the servers: PostgreSQL's first process, of which all others are children. */
  pids: { postgres: number; redis: number };
  /** Environment of one of our processes. */
  env: Record<string, string>;
  /** As the administrator. */
  redis: Redis;
  stop: () => Promise<void>;
}

export async function startBatchLab(shops: ShopSize[], say: (text: string) => void): Promise<BatchLab> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const ports = { POSTGRES_PORT: String(await findFreePort()), REDIS_PORT: String(await findFreePort()) };
  const settings = settleSecrets(loadSettings({ ...process.env, SLUICE_DATA_DIR: dir, ...ports }));
  mkdirSync(layoutOf(dir).logs, { recursive: true });
  const started: SupervisedProcess[] = [];
  const start = async (spec: ServerSpec): Promise<number> => {
    const server = new SupervisedProcess(spec, { logFile: layoutOf(dir).logOf(spec.name), say, onChange: () => undefined });
    started.push(server);
    await server.start();
    return server.record.pid!;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop(10_000)));
    removeReadablePlace(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const tools = await fetchTools(settings.SLUICE_TOOLS_DIR, createProgress(() => undefined), new AbortController().signal);
    const [postgres, redis] = await Promise.all([start(postgresServer(settings, placePostgres(dir, () => undefined))), start(redisServer(settings, tools))]);
    for (const shop of shops) {
      await fillShop(settings, shop);
      say(`filled ${shop.database}: ${shop.orders} orders`);
    }
    const admin = new Redis({ host: '127.0.0.1', port: settings.REDIS_PORT, password: settings.REDIS_PASSWORD.reveal() });
    return {
      settings,
      pids: { postgres, redis },
      env: settingsEnvironment(settings),
      redis: admin,
      stop: async () => {
        admin.disconnect();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
