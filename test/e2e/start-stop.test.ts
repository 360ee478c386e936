/**
 * Goal: one command brings everything up, Ctrl-C takes everything down, nothing is left and nothing is lost.
 * Method: `npm start`, later what it runs, as a child; its processes are watched from outside.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { connectPostgres } from '../../src/adapters/postgres.ts';
import { connectRedis } from '../../src/adapters/redis.ts';
import { loadSettings, requireSecret } from '../../src/config.ts';
import { portSettings, probePort } from '../../src/stack/ports.ts';
import { projectRoot } from '../../src/stack/project.ts';
import { freshEnvironment, runSluice, until, type StackStatus } from '../stack.ts';

let dir: string;
let env: Record<string, string>;
let running: { child: ChildProcess; output: () => string; ended: Promise<number | null> };

before(async () => {
  ({ dir, env } = await freshEnvironment());
});
after(async () => {
  running.child.kill('SIGKILL');
  await runSluice(env, ['reset', '--yes']);
  rmSync(dir, { recursive: true, force: true });
});

function start(command: [file: string, ...args: string[]], extra: Record<string, string> = {}): typeof running {
  const [file, ...args] = command;
  const child = spawn(file, args, { cwd: projectRoot, env: { ...process.env, ...env, ...extra }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { child, output: () => output, ended };
}

const healthy = (): Promise<unknown> =>
  until('Healthy.', async () => {
    if (running.child.exitCode !== null) throw new Error(running.output());
    return running.output().includes('Healthy.');
  }, 240_000);
const status = async (): Promise<StackStatus> => JSON.parse((await runSluice(env, ['status', '--json'])).stdout) as StackStatus;
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

async function assertNothingLeft(pids: number[]): Promise<void> {
  await until('every process is gone', async () => !pids.some(isAlive), 5000);
  for (const name of portSettings) await assert.rejects(probePort(Number(env[name])), name);
}

/** Writes a customer, with an order so that the generator keeps it, and resolves with its id once it is in Redis. */
async function changeArrives(): Promise<string> {
  const settings = loadSettings({ ...process.env, ...env });
  const db = connectPostgres({ host: '127.0.0.1', port: settings.POSTGRES_PORT, database: settings.POSTGRES_DB, user: settings.POSTGRES_USER, password: requireSecret(settings, 'POSTGRES_PASSWORD'), name: 'test' });
  try {
    const [row] = await db.query<{ id: number }>(
      `WITH c AS (INSERT INTO customers (first_name, last_name, email) VALUES ('a', 'b', gen_random_uuid()::text) RETURNING id)
       INSERT INTO orders (customer_id, total_amount, status) SELECT id, 1, 'set aside' FROM c RETURNING customer_id AS id`,
    );
    await until('the row in Redis', async () => hasRow(`customer:${row!.id}`));
    return String(row!.id);
  } finally {
    await db.close();
  }
}

async function hasRow(key: string): Promise<boolean> {
  const settings = loadSettings({ ...process.env, ...env });
  const redis = connectRedis({ host: '127.0.0.1', port: settings.REDIS_PORT, user: 'default', password: requireSecret(settings, 'REDIS_PASSWORD'), name: 'test' });
  try {
    return (await redis.strings([key]))[0] !== null;
  } finally {
    await redis.close();
  }
}

let customer: string;

test('a first start brings up every process, and status says so', async () => {
  running = start(['npm', 'start']);
  await healthy();
  const seen = await status();
  assert.equal(seen.healthy, true);
  assert.deepEqual(seen.processes.map(({ name, state }) => `${name} ${state}`).sort(), ['alerts-consumer', 'cdc-consumer', 'connect', 'generator', 'kafka', 'postgres', 'redis', 'stream-consumer', 'temporal', 'worker'].map((name) => `${name} running`));
  assert.deepEqual(seen.connector, { state: 'RUNNING', tasks: ['RUNNING'], oversizedEvent: null });
  assert.equal(seen.slot.active, true);
  assert.equal(seen.lag.length, 16);
  await until('a line of figures', async () => running.output().includes('healthy · lag'));
  assert.ok(!running.output().includes('NOT HEALTHY'), running.output());
  await changeArrives();
});

test('a taken port is one message that names the variable', async () => {
  const other = await freshEnvironment({ REDIS_PORT: env['REDIS_PORT']! });
  const { code, stdout, stderr } = await runSluice(other.env, ['up']);
  assert.equal(code, 1);
  assert.match(stdout + stderr, new RegExp(`Port ${env['REDIS_PORT']} \\(REDIS_PORT\\) is taken`));
  rmSync(other.dir, { recursive: true, force: true });
});

test('a server that is killed is restarted, and said so', async () => {
  const { pid } = (await status()).processes.find(({ name }) => name === 'redis')!;
  process.kill(pid, 'SIGKILL');
  await until('redis is back', async () => running.output().includes('redis is back'));
  assert.match(running.output(), /redis ended \(SIGKILL\): restarting/);
  await changeArrives();
  await until('the stack is healthy again', async () => (await status()).healthy);
});

test('Ctrl-C, or a signal to npm alone, stops everything within 15 s and leaves no process and no port', async () => {
  const pids = (await status()).processes.map(({ pid }) => pid);
  customer = await changeArrives(); // as late as can be: the generator removes a customer without orders sooner or later
  const startedMs = performance.now();
  running.child.kill('SIGINT');
  assert.equal(await running.ended, 0);
  assert.ok(performance.now() - startedMs < 15_000, 'the limit the product promises');
  await assertNothingLeft(pids);
});

test('a second start keeps the data, runs as many consumers as it is told, and no generator that is switched off', async (t) => {
  const startedMs = performance.now();
  running = start([process.execPath, 'bin/sluice.mjs', 'up', '--foreground'], { SLUICE_GENERATOR: 'off', SLUICE_CDC_CONSUMERS: '2' });
  await healthy();
  await changeArrives();
  t.diagnostic(`first change visible ${((performance.now() - startedMs) / 1000).toFixed(1)} s after the command`);
  assert.equal(await hasRow(`customer:${customer}`), true);
  const states = (await status()).processes.map(({ name, state }) => `${name} ${state}`);
  assert.ok(states.includes('cdc-consumer running') && states.includes('cdc-consumer-2 running'), states.join());
  assert.ok(!states.some((one) => one.startsWith('generator')));
});

test('what a killed supervisor leaves behind is stopped by down, and reset clears the data', async () => {
  const pids = (await status()).processes.map(({ pid }) => pid);
  running.child.kill('SIGKILL');
  await running.ended;
  assert.equal((await runSluice(env, ['status'])).code, 3);
  assert.equal((await runSluice(env, ['down'])).code, 0);
  await assertNothingLeft(pids);
  assert.equal((await runSluice(env, ['reset', '--yes'])).code, 0);
  assert.deepEqual(existsSync(env['SLUICE_DATA_DIR']!) ? readdirSync(env['SLUICE_DATA_DIR']!) : [], []);
});
