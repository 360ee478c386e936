/** A real PostgreSQL for one test file, configured and migrated exactly as the embedded stack does it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectPostgres, type Database } from '../src/adapters/postgres.ts';
import { loadSettings } from '../src/config.ts';
import type { Secret } from '../src/domain/secret.ts';
import { findFreePort } from '../src/stack/ports.ts';
import type { ServerSpec } from '../src/stack/server-spec.ts';
import { connectAdmin, postgresServer, prepareDatabase } from '../src/stack/postgres.ts';
import { placePostgres, removeReadablePlace } from '../src/stack/postgres-files.ts';
import { settleSecrets } from '../src/stack/secrets.ts';
import { until } from './stack.ts';

/** A shop of its own: the four tables and the seed. */
export interface TestShop {
  /** As the owner. */
  owner: Database;
  /** As sluice_reader, which may only read. */
  reader: Database;
  /** As sluice_writer, which may change rows and nothing else. */
  writer: Database;
}

export interface TestPostgres {
  /** With it a process of ours finds this server, its first database and its passwords. */
  environment: Record<string, string>;
  openShop: () => Promise<TestShop>;
  /** Ends the server at once, as a crash does, and starts it again. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts it in a folder of its own on a free port; `options` go before those of the stack. */
export async function startPostgres(options: Record<string, string> = {}): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const settings = settleSecrets(loadSettings({ SLUICE_DATA_DIR: dir, POSTGRES_PORT: String(await findFreePort()) }));
  const spec = postgresServer(settings, placePostgres(dir, () => undefined));
  let server = await start(spec, options);
  await prepareDatabase(settings);
  const maintenance = connectAdmin(settings, 'postgres');
  const opened: Database[] = [maintenance];
  return {
    environment: { SLUICE_DATA_DIR: dir, POSTGRES_PORT: String(settings.POSTGRES_PORT) },
    openShop: async () => {
      const database = `shop_${opened.length}`;
      await maintenance.query(`CREATE DATABASE ${database} TEMPLATE ${settings.POSTGRES_DB}`);
      const connect = (user: string, password: Secret): Database =>
        connectPostgres({ host: '127.0.0.1', port: settings.POSTGRES_PORT, database, user, password, name: `test-${user}`, max: 5, statementTimeoutMs: 60_000 });
      const owner = connect(settings.POSTGRES_USER, settings.POSTGRES_PASSWORD);
      const reader = connect('sluice_reader', settings.SLUICE_READER_PASSWORD);
      const writer = connect('sluice_writer', settings.SLUICE_WRITER_PASSWORD);
      opened.push(owner, reader, writer);
      return { owner, reader, writer };
    },
    restart: async () => {
      await end(server, 'SIGQUIT');
      server = await start(spec, options);
    },
    stop: async () => {
      await Promise.all(opened.map((db) => db.close()));
      await end(server, 'SIGINT');
      removeReadablePlace(dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function start({ command, ready }: ServerSpec, options: Record<string, string>): Promise<ChildProcess> {
  const { file, args, ...where } = await command(new AbortController().signal);
  const more = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(file, [...args, ...more], { ...where, stdio: 'ignore' });
  assert.ok(ready !== 'message');
  await until('PostgreSQL answers', () => ready().then(() => true, () => false));
  return server;
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = new Promise((resolve) => server.once('exit', resolve));
  server.kill(signal);
  await gone;
}
