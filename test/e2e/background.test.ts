/**
 * Goal: the stack in the background, and the starts that do not go straight: a bare machine, Ctrl-C, a killed supervisor, a
 * changed password (start-stop.test.ts has the stack in the foreground).
 * Method: a stack of its own, driven by the command line only; pids come from `status --json` and are looked up in /proc.
 * The tests build on each other in this order.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connectPostgres } from '../../src/adapters/postgres.ts';
import { connectRedis } from '../../src/adapters/redis.ts';
import { loadSettings, requireSecret } from '../../src/config.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { requireFreePorts } from '../../src/stack/ports.ts';
import { layoutOf, projectRoot } from '../../src/stack/project.ts';
import { readStackRecord, startTimeOf } from '../../src/stack/state-file.ts';
import { freshEnvironment, runSluice, until, type Outcome, type StackStatus } from '../stack.ts';

let dir: string;
let env: Record<string, string>;
let dataDir: string;
const sluice = (...args: string[]): Promise<Outcome> => runSluice(env, args);
const status = async (): Promise<StackStatus> => JSON.parse((await sluice('status', '--json')).stdout) as StackStatus;
const settings = () => loadSettings({ ...process.env, ...env }, projectRoot);
const supervisorPid = (): number => readStackRecord(layoutOf(dataDir).stateFile)?.supervisor.pid ?? 0;
const isRunning = (pid: number): boolean => startTimeOf(pid) !== null;

before(async () => {
  ({ dir, env } = await freshEnvironment({ SLUICE_GENERATOR: 'off' }));
  dataDir = settings().SLUICE_DATA_DIR;
});
after(async () => {
  await sluice('reset', '--yes');
  rmSync(dir, { recursive: true, force: true });
});

async function insertCustomer(email: string): Promise<string> {
  const { POSTGRES_PORT: port, POSTGRES_DB: database, POSTGRES_USER: user } = settings();
  const db = connectPostgres({ host: '127.0.0.1', port, database, user, password: requireSecret(settings(), 'POSTGRES_PASSWORD'), name: 'test' });
  try {
    const rows = await db.query<{ id: number }>("INSERT INTO customers (first_name, last_name, email) VALUES ('A', 'B', $1) RETURNING id", [email]);
    return String(rows[0]?.id);
  } finally {
    await db.close();
  }
}

async function replicaHas(id: string): Promise<boolean> {
  const redis = connectRedis({ host: '127.0.0.1', port: settings().REDIS_PORT, user: 'default', password: requireSecret(settings(), 'REDIS_PASSWORD'), name: 'test', failFast: true });
  try {
    return (await redis.strings([`customer:${id}`]))[0] !== null;
  } finally {
    await redis.close();
  }
}

test('what the machine lacks is named with its Debian package, and nothing is started', async () => {
  const bare = join(dir, 'bare-path');
  mkdirSync(bare);
  symlinkSync(process.execPath, join(bare, 'node'));
  const { code, stdout } = await runSluice({ ...env, PATH: bare, JAVA_HOME: '', SLUICE_TOOLS_DIR: join(dir, 'no-tools-yet') }, ['up']);
  assert.equal(code, 1);
  for (const text of ['Nothing was started', 'openjdk-17-jre-headless', 'apt install maven', 'python3-venv']) assert.ok(stdout.includes(text), `${text} in: ${stdout}`);
  assert.ok(!existsSync(layoutOf(dataDir).stateFile));
});

test('Ctrl-C while it starts stops everything within 15 s', async () => {
  const child = spawn(process.execPath, ['bin/sluice.mjs', 'up', '--foreground'], { cwd: projectRoot, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await until('the first server', async () => said.includes('Redis on 127.0.0.1'), 300_000);
  const pids = (readStackRecord(layoutOf(dataDir).stateFile)?.processes ?? []).flatMap(({ pid }) => pid ?? []);
  assert.ok(pids.length >= 2);
  const began = performance.now();
  child.kill('SIGINT');
  assert.equal(await exited, 1);
  assert.ok(performance.now() - began < 15_000);
  assert.deepEqual(pids.filter(isRunning), []);
  await requireFreePorts(settings());
});

test('up returns when the stack is healthy and a second up is content with it', async () => {
  const up = await sluice('up');
  assert.equal(up.code, 0, up.stdout + up.stderr);
  const { healthy, processes, connector, slot, lag } = await status();
  assert.ok(healthy);
  assert.deepEqual(processes.map(({ name, state, restarts }) => `${name} ${state} ${restarts}`), [
    ...['postgres', 'kafka', 'connect', 'redis', 'temporal', 'cdc-consumer', 'stream-consumer', 'alerts-consumer', 'worker'].map((name) => `${name} running 0`),
  ]);
  assert.deepEqual([connector, slot.active, lag.length > 0], [{ state: 'RUNNING', tasks: ['RUNNING'], oversizedEvent: null }, true, true]);
  const again = await sluice('up');
  assert.equal(again.code, 0);
  assert.match(again.stdout, /already running/);
});

test('after a killed supervisor status is unhealthy, and up cleans up and keeps the data', async () => {
  const id = await insertCustomer('kept@example.com');
  const left = (await status()).processes.map(({ pid }) => pid);
  process.kill(supervisorPid(), 'SIGKILL');
  await until('exit code 3', async () => (await sluice('status')).code === 3);

  const up = await sluice('up');
  assert.equal(up.code, 0, up.stdout + up.stderr);
  assert.match(up.stdout, /an earlier start had left running/);
  assert.deepEqual(left.filter(isRunning), []);
  await until('the row in Redis', () => replicaHas(id));
  const next = await insertCustomer('next@example.com');
  await until('the next row in Redis', () => replicaHas(next), 5000);
});

test('a changed admin password is applied, and the old one is refused', async () => {
  assert.equal((await sluice('down')).code, 0);
  const before = requireSecret(settings(), 'POSTGRES_PASSWORD');
  env['POSTGRES_PASSWORD'] = "it's \"new\"$".replaceAll(' ', '_');
  const up = await sluice('up');
  assert.equal(up.code, 0, up.stdout + up.stderr);
  const id = await insertCustomer('new@example.com');
  await until('the row in Redis', () => replicaHas(id));

  const { POSTGRES_PORT: port, POSTGRES_DB: database, POSTGRES_USER: user } = settings();
  const db = connectPostgres({ host: '127.0.0.1', port, database, user, password: before, name: 'test' });
  await assert.rejects(db.query('SELECT 1'), (error) => error instanceof PipelineError && error.details['sqlstate'] === '28P01');
  await db.close();
});

test('another admin takes over at the next start, and the former one is refused', async () => {
  assert.equal((await sluice('down')).code, 0);
  const former = settings();
  env['POSTGRES_USER'] = 'boss';
  const up = await sluice('up');
  assert.equal(up.code, 0, up.stdout + up.stderr);
  const id = await insertCustomer('boss@example.com');
  await until('the row in Redis', () => replicaHas(id));

  const { POSTGRES_PORT: port, POSTGRES_DB: database, POSTGRES_USER: user } = former;
  const db = connectPostgres({ host: '127.0.0.1', port, database, user, password: requireSecret(former, 'POSTGRES_PASSWORD'), name: 'test' });
  await assert.rejects(db.query('SELECT 1'), (error) => error instanceof PipelineError && error.details['sqlstate'] === '28P01');
  await db.close();
});

test('down stops a stack in the background within 15 s', async () => {
  const pids = [supervisorPid(), ...(await status()).processes.map(({ pid }) => pid)];
  assert.deepEqual(pids.filter((pid) => !isRunning(pid)), []);
  const began = performance.now();
  assert.equal((await sluice('down')).code, 0);
  assert.ok(performance.now() - began < 15_000);
  assert.deepEqual(pids.filter(isRunning), []);
  await requireFreePorts(settings());
});
