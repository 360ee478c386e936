/** The whole stack, begun over a database that already holds rows, so that its first act is a snapshot. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { loadSettings } from '../../src/config.ts';
import { createKeys, names } from '../../src/domain/keys.ts';
import { placePostgres } from '../../src/stack/postgres-files.ts';
import { connectAdmin, postgresServer, prepareDatabase } from '../../src/stack/postgres.ts';
import { settleSecrets, type StackSettings } from '../../src/stack/secrets.ts';
import { SupervisedProcess } from '../../src/stack/supervised-process.ts';
import { freshEnvironment, runSluice } from '../../test/stack.ts';
import { round, table } from './figures.ts';
import { fillShop, itemsPerOrder } from './shop.ts';

export interface RealStack {
  dir: string;
  env: Record<string, string>;
  settings: StackSettings;
  /** As the administrator. */
  redis: () => Redis;
  stop: () => Promise<void>;
}

export interface SnapshotSample {
  rows: number;
  /** From the first rows that were visible in Redis to the last. */
  seconds: number;
  rowsPerSecond: number;
}

/** What the database holds before the stack starts. */
export interface Filling {
  fill: (settings: StackSettings) => Promise<void>;
  /** Table → rows the snapshot is waited for. */
  rows: Record<string, number>;
}

const snapshotBudgetMs = 600_000;

/** Starts PostgreSQL alone, fills it, then starts the stack and watches the snapshot arrive. */
export async function startFilledStack({ fill, rows }: Filling): Promise<{ stack: RealStack; snapshot: SnapshotSample }> {
  const { dir, env } = await freshEnvironment({ SLUICE_GENERATOR: 'off', KAFKA_SESSION_TIMEOUT_MS: '10000', HEARTBEAT_INTERVAL_MS: '2000', HEARTBEAT_CHECK_SECONDS: '30' });
  const loaded = loadSettings({ ...process.env, ...env });
  mkdirSync(loaded.SLUICE_DATA_DIR, { mode: 0o711 });
  const settings = settleSecrets(loaded);
  const stack: RealStack = {
    dir,
    env,
    settings,
    redis: () => new Redis({ host: '127.0.0.1', port: settings.REDIS_PORT, password: settings.REDIS_PASSWORD.reveal(), retryStrategy: () => 100, maxRetriesPerRequest: null }).on('error', () => undefined),
    stop: async () => {
      await runSluice(env, ['reset', '--yes']);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await fillDatabase(settings, fill);
    const watch = watchSnapshot(stack, rows);
    const [snapshot, up] = await Promise.all([watch, runSluice(env, ['up'])]);
    if (up.code !== 0) throw new Error(`sluice up ended with ${up.code}:\n${up.stdout}${up.stderr}`);
    return { stack, snapshot };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/** Orders of nobody, beside the seed's rows. */
export const ordersOnly = (orders: number): Filling => ({
  rows: { orders },
  fill: async (settings) => {
    await prepareDatabase(settings);
    const db = connectAdmin(settings, settings.POSTGRES_DB);
    await db.query(`INSERT INTO orders (order_date, total_amount, status, shipping_address)
      SELECT timezone('UTC', now()) - n * interval '1 second', 10 + n % 900 + 0.99, (ARRAY['pending', 'processing', 'shipped', 'delivered'])[1 + n % 4],
             n || ' Evergreen Terrace, Springfield, IL 62704' FROM generate_series(1, ${orders}) AS n`);
    await db.close();
  },
});

/** All four tables, and nothing but these rows. */
export const wholeShop = (orders: number): Filling => {
  const size = { orders, customers: Math.ceil(orders / 10), products: Math.ceil(orders / 100) };
  return { rows: { ...size, order_items: orders * itemsPerOrder }, fill: (settings) => fillShop(settings, { ...size, database: settings.POSTGRES_DB }) };
};

async function fillDatabase(settings: StackSettings, fill: Filling['fill']): Promise<void> {
  const logs = join(settings.SLUICE_DATA_DIR, 'logs');
  mkdirSync(logs);
  const spec = postgresServer(settings, placePostgres(settings.SLUICE_DATA_DIR, () => undefined));
  const server = new SupervisedProcess(spec, { logFile: join(logs, 'postgres.log'), say: () => undefined, onChange: () => undefined });
  await server.start();
  try {
    await fill(settings);
  } finally {
    await server.stop(10_000);
  }
}

/** Snapshots of so many orders, each by a stack of its own; the last one's stays, filled, for `then`. */
export async function measureSnapshots<T>(orders: number, rounds: number, then: (stack: RealStack, samples: SnapshotSample[]) => Promise<T>): Promise<T> {
  for (const samples: SnapshotSample[] = []; ; ) {
    const { stack, snapshot } = await startFilledStack(ordersOnly(orders));
    try {
      samples.push(snapshot);
      if (samples.length >= rounds) return await then(stack, samples);
    } finally {
      await stack.stop();
    }
  }
}

export const snapshotTable = (samples: SnapshotSample[]): string =>
  table(['snapshot', 'seconds', 'rows/s'], samples.map(({ rows, seconds, rowsPerSecond }) => [rows, round(seconds, 1), round(rowsPerSecond)]));

async function watchSnapshot({ redis: connect, settings }: RealStack, expected: Filling['rows']): Promise<SnapshotSample> {
  const redis = connect();
  const keys = createKeys(settings.REDIS_KEY_PREFIX);
  const stats = Object.keys(expected).map((table) => keys.of(names.stats(table)));
  const rows = Object.values(expected).reduce((sum, n) => sum + n, 0);
  try {
    let first: { ms: number; rows: number } | undefined;
    for (const deadline = performance.now() + snapshotBudgetMs; performance.now() < deadline; await delay(5)) {
      const read = await Promise.all(stats.map((key) => redis.hget(key, 'r')));
      const seen = read.reduce((sum, n) => sum + Number(n), 0);
      if (seen > 0) first ??= { ms: performance.now(), rows: seen };
      if (first && seen >= rows) {
        const seconds = (performance.now() - first.ms) / 1000;
        return { rows, seconds, rowsPerSecond: (rows - first.rows) / seconds };
      }
    }
  } finally {
    redis.disconnect();
  }
  throw new Error(`${rows} rows were not visible within ${snapshotBudgetMs} ms`);
}
