/**
 * PostgreSQL with logical WAL, TCP on loopback only, SCRAM passwords. The admin's password is whatever the settings say
 * now: a changed one is put in place while the server is down, so neither a lost nor an old password locks anyone out.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fchownSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { access, loopback, maintenanceDatabase } from '../access.ts';
import { connectPostgres, type Database } from '../adapters/postgres.ts';
import { inheritedEnvironment, type Settings } from '../config.ts';
import type { Secret } from '../domain/secret.ts';
import { migrate, scramVerifier, setRolePasswords } from './migrations.ts';
import type { PostgresFiles } from './postgres-files.ts';
import { probes } from './probes.ts';
import { inProject } from './project.ts';
import { runCommand } from './run-command.ts';
import type { StackSettings } from './secrets.ts';
import { serverEnvironment, type Command, type ServerSpec } from './server-spec.ts';

export function postgresServer(settings: StackSettings, files: PostgresFiles): ServerSpec {
  const data = join(files.home, 'data');
  return {
    name: 'postgres',
    ports: [settings.POSTGRES_PORT],
    stopSignal: 'SIGINT', // fast shutdown: sessions are ended, data are kept; SIGTERM would wait for every client
    command: async (signal) => {
      const settle = existsSync(data) ? settleAdmin : createCluster;
      await settle({ settings, password: settings.POSTGRES_PASSWORD, files, data, signal });
      return program(files, 'postgres', ['-D', data, ...serverOptions(settings)]);
    },
    ready: () => probes.postgres(settings),
  };
}

export const connectAdmin = (settings: Settings, database: string): Database => connectPostgres({ ...access.owner(settings, database), name: 'sluice-stack', max: 2 });

/** Database, schema and role passwords. Returns the migrations that were applied; safe to call at every start. */
export async function prepareDatabase(settings: StackSettings): Promise<string[]> {
  const maintenance = connectAdmin(settings, maintenanceDatabase);
  try {
    const found = await maintenance.query('SELECT 1 FROM pg_database WHERE datname = $1', [settings.POSTGRES_DB]);
    if (found.length === 0) await maintenance.query(`CREATE DATABASE "${settings.POSTGRES_DB}"`);
  } finally {
    await maintenance.close();
  }
  const db = connectAdmin(settings, settings.POSTGRES_DB);
  try {
    const applied = await migrate(db, inProject('sql'));
    await setRolePasswords(db, {
      replication: settings.SLUICE_REPLICATION_PASSWORD,
      reader: settings.SLUICE_READER_PASSWORD,
      writer: settings.SLUICE_WRITER_PASSWORD,
    });
    return applied;
  } finally {
    await db.close();
  }
}

function serverOptions(settings: Settings): string[] {
  const options = {
    listen_addresses: loopback,
    port: settings.POSTGRES_PORT,
    unix_socket_directories: '',
    wal_level: 'logical',
    max_slot_wal_keep_size: `${settings.PG_SLOT_KEEP_MB}MB`,
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Rows hold personal data: neither the values of a failed statement nor its text belong in the log.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
  };
  return Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

interface Cluster {
  settings: Settings;
  password: Secret;
  files: PostgresFiles;
  data: string;
  signal: AbortSignal;
}

async function createCluster(cluster: Cluster): Promise<void> {
  const { files, data, settings, password } = cluster;
  const aside = `${data}.part`;
  const passwordFile = join(files.home, 'password.part');
  rmSync(aside, { recursive: true, force: true });
  writeOwn(files, passwordFile, `${password.reveal()}\n`);
  const args = ['-D', aside, '-U', settings.POSTGRES_USER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'];
  try {
    await run(cluster, 'initdb', args);
  } finally {
    rmSync(passwordFile);
  }
  writeOwn(files, adminFile(aside), `${settings.POSTGRES_USER} ${newVerifier(password)}`);
  renameSync(aside, data);
}

/** Beside the cluster: which admin, with which SCRAM verifier, was last put into it. */
const adminFile = (data: string): string => join(data, 'sluice-admin');
const newVerifier = (password: Secret): string => scramVerifier(password, randomBytes(16));

/** Gives the admin of the settings its password and locks out a former one, unless that was done before. */
async function settleAdmin(cluster: Cluster): Promise<void> {
  const { files, data, settings, password } = cluster;
  const { POSTGRES_USER: user } = settings;
  const record = existsSync(adminFile(data)) ? readFileSync(adminFile(data), 'utf8') : '';
  if (isRecorded(user, password, record)) return;
  const [former = ''] = record.split(' ');
  const verifier = newVerifier(password);
  const sql = [
    `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${user}') THEN CREATE ROLE "${user}"; END IF; END $$;`,
    `ALTER ROLE "${user}" SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN PASSWORD '${verifier}';`,
    ...(former === '' || former === user ? [] : [`ALTER ROLE "${former}" NOLOGIN PASSWORD NULL;`]), // it keeps what it owns
  ];
  // Single-user mode needs no password and listens to nobody; one statement a line, by standard input.
  await run(cluster, 'postgres', ['--single', '-D', data, ...serverOptions(settings), maintenanceDatabase], `${sql.join('\n')}\n`);
  writeOwn(files, adminFile(data), `${user} ${verifier}`);
}

/** True when `record` names this user and a verifier of this password. */
export function isRecorded(user: string, password: Secret, record: string): boolean {
  const [recordedUser, verifier = ''] = record.split(' ');
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(verifier) ?? [];
  return recordedUser === user && salt !== undefined && scramVerifier(password, Buffer.from(salt, 'base64'), Number(iterations)) === verifier;
}

function program(files: PostgresFiles, name: string, args: string[]): Command {
  return { file: join(files.native, 'bin', name), args, env: serverEnvironment(inheritedEnvironment()), cwd: files.home, ...files.user };
}

async function run({ files, signal }: Cluster, name: string, args: string[], input = ''): Promise<void> {
  const { file, args: all, ...rest } = program(files, name, args);
  await runCommand(`PostgreSQL ${name}`, file, all, { ...rest, input, signal });
}

/** A private file of the user PostgreSQL runs as. The folder is that user's, and we may be root: what stands there, a link too, is replaced and never followed. */
function writeOwn({ user }: PostgresFiles, path: string, text: string): void {
  const aside = `${path}.new`;
  rmSync(aside, { force: true });
  const file = openSync(aside, 'wx', 0o600);
  try {
    writeFileSync(file, text);
    if (user) fchownSync(file, user.uid, user.gid);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
}
