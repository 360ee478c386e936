/** A real Redis for one test file, configured exactly as the embedded stack configures it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { access } from '../src/access.ts';
import { connectRedis, type RedisStore } from '../src/adapters/redis.ts';
import { loadSettings, type Settings } from '../src/config.ts';
import type { Secret } from '../src/domain/secret.ts';
import { findFreePort } from '../src/stack/ports.ts';
import { createProgress } from '../src/stack/progress.ts';
import { redisServer } from '../src/stack/redis.ts';
import { settleSecrets } from '../src/stack/secrets.ts';
import { fetchTools } from '../src/stack/tools.ts';

export interface TestRedis {
  port: number;
  settings: Settings;
  /** Of the administrator. */
  password: Secret;
  /** As the consumers see it. */
  store: RedisStore;
  /** As the administrator sees it. */
  admin: RedisStore;
  /** Stops it and starts it again with what it has stored. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts it in a folder of its own on a free port. */
export async function startRedis(keyPrefix = ''): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const settings = settleSecrets(loadSettings({
    SLUICE_DATA_DIR: dir,
    SLUICE_TOOLS_DIR: process.env['SLUICE_TOOLS_DIR'] ?? '',
    REDIS_PORT: String(await findFreePort()),
    REDIS_KEY_PREFIX: keyPrefix,
  }));
  const { signal } = new AbortController();
  const tools = await fetchTools(settings.SLUICE_TOOLS_DIR, createProgress(() => undefined), signal);
  const spec = redisServer(settings, tools);
  const { file, args, env, cwd } = await spec.command(signal);
  const launch = () => spawn(file, args, { env, cwd, stdio: 'ignore' });
  let server = launch();
  const end = async (): Promise<void> => {
    const gone = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await gone;
  };
  const store = connectRedis({ ...access.replica(settings), name: 'test' });
  const admin = connectRedis({ ...access.redisAdmin(settings), name: 'test' });
  await Promise.all([store.ping(), admin.ping()]);
  return {
    port: settings.REDIS_PORT,
    settings,
    password: settings.REDIS_PASSWORD,
    store,
    admin,
    restart: async () => {
      await end();
      server = launch();
    },
    stop: async () => {
      await Promise.all([store.close(), admin.close()]);
      await end();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
