/**
 * The real stack for tests: its own data folder, free ports, a brisk generator, failpoints armed by files.
 * `npm test` starts one for many files and names it in SLUICE_TEST_STACK; a file run alone starts its own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createKafkaAdmin, type KafkaAdmin } from '../src/adapters/kafka-admin.ts';
import { connectPostgres, type Database } from '../src/adapters/postgres.ts';
import { connectRedis, type RedisStore } from '../src/adapters/redis.ts';
import { loadSettings, requireSecret, type SecretName, type Settings } from '../src/config.ts';
import { createKeys, type Keys } from '../src/domain/keys.ts';
import { findFreePort, portSettings } from '../src/stack/ports.ts';
import { layoutOf, projectRoot } from '../src/stack/project.ts';
import { killGroup } from '../src/stack/run-command.ts';
import { isAlive, readStackRecord } from '../src/stack/state-file.ts';
import type { VerifyReport } from '../src/verify/verify.ts';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface StackStatus {
  healthy: boolean;
  problems: string[];
  /** Table → why. */
  halted: Record<string, string>;
  processes: { name: string; pid: number; ports: number[]; state: string; restarts: number }[];
  connector: { state: string; tasks: string[]; oversizedEvent: { topic: string | null; bytes: number; bytesMax: number } | null };
  slot: { active: boolean; walStatus: string; retainedBytes: number };
  lag: { topic: string; partition: number; events: number; ms: number }[];
  heartbeat: { ageMs: number } | null;
  urls: Record<string, string>;
}

export interface TestStack {
  dir: string;
  env: Record<string, string>;
  settings: Settings;
  keys: Keys;
  /** The source as its owner. */
  db: Database;
  /** The replica as the consumers see it. */
  redis: RedisStore;
  kafka: KafkaAdmin;
  connectAs: (user: string, secret: SecretName) => Database;
  sluice: (...args: string[]) => Promise<Outcome>;
  status: () => Promise<StackStatus>;
  /** Arms a failpoint: the first process that passes it acts. */
  arm: (name: string, action: 'kill' | 'stop') => void;
  isArmed: (name: string) => boolean;
  /** One of our processes beside those of the stack, its log collected. */
  startProcess: (name: 'cdc-consumer' | 'worker' | 'generator', extra?: Record<string, string>) => { child: ChildProcess; log: () => string };
  logOf: (name: string) => string;
  stop: () => Promise<void>;
}

/** Environment of a fresh stack: free ports, a folder of its own. */
export async function freshEnvironment(extra: Record<string, string> = {}): Promise<{ dir: string; env: Record<string, string> }> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  mkdirSync(join(dir, 'failpoints'));
  const env: Record<string, string> = {
    SLUICE_DATA_DIR: join(dir, 'data'),
    SLUICE_FAILPOINT_DIR: join(dir, 'failpoints'),
    KAFKA_SESSION_TIMEOUT_MS: '6000',
    MOCK_DATA_INTERVAL_SECONDS: '0.2',
    HEARTBEAT_INTERVAL_MS: '1000',
    HEARTBEAT_CHECK_SECONDS: '10',
    CONNECTOR_SILENT_MS: '20000',
    BATCH_INTERVAL_SECONDS: '86400',
    ...extra,
  };
  for (const name of portSettings) env[name] ??= String(await findFreePort(portSettings.map((other) => Number(env[other]))));
  return { dir, env };
}

/** Runs `node bin/sluice.mjs …` to its end. */
export function runSluice(env: Record<string, string>, args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['bin/sluice.mjs', ...args], { cwd: projectRoot, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const outcome = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (outcome.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (outcome.stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...outcome }));
  });
}

/** The shared stack when there is one, otherwise one of its own. */
export async function useStack(): Promise<TestStack> {
  const shared = process.env['SLUICE_TEST_STACK'];
  if (shared) return attach(JSON.parse(shared) as { dir: string; env: Record<string, string> }, false);
  return startStack();
}

/** Starts a stack and waits until it is healthy; throws what `sluice up` said otherwise. */
export async function startStack(extra: Record<string, string> = {}): Promise<TestStack> {
  const place = await freshEnvironment(extra);
  const up = await runSluice(place.env, ['up']);
  if (up.code !== 0) {
    keepLogs(place.env['SLUICE_DATA_DIR']!);
    await runSluice(place.env, ['reset', '--yes']);
    rmSync(place.dir, { recursive: true, force: true });
    throw new Error(`sluice up ended with ${up.code}:\n${up.stdout}${up.stderr}`);
  }
  return attach(place, true);
}

function attach({ dir, env }: { dir: string; env: Record<string, string> }, owned: boolean): TestStack {
  const settings = loadSettings({ ...process.env, ...env });
  const started: ChildProcess[] = [];
  const connectAs = (user: string, secret: SecretName): Database =>
    connectPostgres({ host: '127.0.0.1', port: settings.POSTGRES_PORT, database: settings.POSTGRES_DB, user, password: requireSecret(settings, secret), name: 'test', max: 4 });
  const db = connectAs(settings.POSTGRES_USER, 'POSTGRES_PASSWORD');
  const redis = connectRedis({ host: '127.0.0.1', port: settings.REDIS_PORT, user: 'sluice-consumer', password: requireSecret(settings, 'SLUICE_REDIS_PASSWORD'), name: 'test' });
  const kafka = createKafkaAdmin({ brokers: [`127.0.0.1:${settings.KAFKA_PORT}`], clientId: 'test' });
  const failpoint = (name: string): string => join(dir, 'failpoints', name);
  return {
    dir,
    env,
    settings,
    keys: createKeys(settings.REDIS_KEY_PREFIX),
    db,
    redis,
    kafka,
    connectAs,
    sluice: (...args) => runSluice(env, args),
    status: async () => JSON.parse((await runSluice(env, ['status', '--json'])).stdout) as StackStatus,
    arm: (name, action) => {
      writeFileSync(`${failpoint(name)}.new`, action);
      renameSync(`${failpoint(name)}.new`, failpoint(name)); // whole at once: one that is read while it is empty does nothing and is gone
    },
    isArmed: (name) => existsSync(failpoint(name)),
    startProcess: (name, more = {}) => {
      const child = spawn(process.execPath, [`dist/main/${name}.js`], { cwd: projectRoot, env: { ...process.env, ...env, ...more }, stdio: ['ignore', 'pipe', 'inherit'] });
      let log = '';
      child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
      started.push(child);
      return { child, log: () => log };
    },
    logOf: (name) => readFileSync(join(settings.SLUICE_DATA_DIR, 'logs', `${name}.log`), 'utf8'),
    stop: async () => {
      for (const child of started) await endProcess(child);
      await Promise.all([db.close(), redis.close(), kafka.close()]);
      if (!owned) return;
      killStack(settings.SLUICE_DATA_DIR); // nothing need end in order: its data go
      keepLogs(settings.SLUICE_DATA_DIR);
      await runSluice(env, ['reset', '--yes']);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function killStack(dataDir: string): void {
  const record = readStackRecord(layoutOf(dataDir).stateFile);
  for (const one of record ? [record.supervisor, ...record.processes] : []) if (isAlive(one)) killGroup(one.pid ?? undefined);
}

/** A stack's folder goes with it; its logs stay in SLUICE_TEST_LOGS, if set. */
export function keepLogs(dataDir: string): void {
  const kept = process.env['SLUICE_TEST_LOGS'];
  const logs = layoutOf(dataDir).logs;
  if (kept && existsSync(logs)) cpSync(logs, mkdtempSync(join(kept, 'stack-')), { recursive: true });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGCONT');
  child.kill('SIGTERM');
  await gone;
}

/** Polls until `attempt` gives something other than undefined or false; fails after `deadlineMs` naming what was awaited. */
export async function until<T>(what: string, attempt: () => Promise<T | undefined | false>, deadlineMs = 60_000, everyMs = 50): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const found = await attempt();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(everyMs);
  }
}

/** `sluice verify --json`, asked again while the answer is `open`: at first that of a pipeline that is behind, which says nothing yet. */
export async function verify(stack: TestStack, open = ({ behind }: VerifyReport): boolean => behind): Promise<{ code: Outcome['code']; report: VerifyReport }> {
  for (let left = 5; ; left -= 1) {
    const { code, stdout, stderr } = await stack.sluice('verify', '--json');
    if (stdout === '') throw new Error(`verify ended with ${code}: ${stderr}`);
    const report = JSON.parse(stdout) as VerifyReport;
    if (left === 1 || !open(report)) return { code, report };
  }
}

/** Fails with the report when the replica differs from the source. A table that is just being brought in line is waited for. */
export async function assertVerified(stack: TestStack): Promise<void> {
  const isDrift = ({ ok, drift, rows, sets, aggregates }: VerifyReport): boolean => !ok && drift.length > 0 && [rows, sets, aggregates].every(({ differences }) => differences.length === 0);
  const { code, report } = await verify(stack, (found) => found.behind || isDrift(found));
  if (code !== 0) throw new Error(`verify ended with ${code}: ${JSON.stringify(report)}`);
}

/** The generator stands still between two of its batches. */
export async function withoutGenerator<T>(stack: TestStack, work: () => Promise<T>): Promise<T> {
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'generator')!;
  try {
    await until('the generator stands between two batches', async () => {
      process.kill(pid, 'SIGSTOP');
      const [backend] = await stack.db.query<{ state: string }>("SELECT state FROM pg_stat_activity WHERE application_name = 'sluice-generator'");
      if (backend?.state !== 'idle') process.kill(pid, 'SIGCONT');
      return backend?.state === 'idle';
    });
    return await work();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}
