/**
 * Goal: a supervised program is restarted when it dies, stopped within its budget, and never comes back after that.
 * Method: real small Node programs instead of servers.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PipelineError } from '../../src/domain/errors.ts';
import { layoutOf } from '../../src/stack/project.ts';
import { restartDelayMs, type ServerSpec } from '../../src/stack/server-spec.ts';
import { readStackRecord, startTimeOf } from '../../src/stack/state-file.ts';
import { SupervisedProcess } from '../../src/stack/supervised-process.ts';
import { createSupervisor } from '../../src/stack/supervisor.ts';
import { createHold } from '../../src/telemetry/failpoint.ts';
import { until } from '../stack.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-supervised-'));
after(() => rmSync(dir, { recursive: true }));
let count = 0;

/** `script` runs in a Node program that says ready by its channel. */
function aProcess(script: string, more: Partial<ServerSpec> = {}) {
  const logFile = join(dir, `${(count += 1)}.log`);
  const said: string[] = [];
  const spec: ServerSpec = {
    name: 'worker',
    ports: [],
    stopSignal: 'SIGTERM',
    ready: 'message',
    command: async () => ({ file: process.execPath, args: ['-e', script], env: {} }),
    ...more,
  };
  return { one: new SupervisedProcess(spec, { logFile, say: (line) => said.push(line), onChange: () => undefined, hold: createHold(join(dir, 'failpoints')) }), said, logFile };
}

const steady = `process.send('ready'); setInterval(() => {}, 1000);`;

test('it starts, is restarted when it is killed, and stays away once stopped', async () => {
  const { one, said } = aProcess(steady);
  await one.start();
  const { pid, state } = one.record;
  assert.ok(pid);
  assert.equal(state, 'running');

  process.kill(pid, 'SIGKILL');
  await until('the restart', async () => one.record.restarts === 1 && one.record.state === 'running', 10_000);
  const second = one.record.pid;
  assert.ok(second && second !== pid);
  assert.match(said[0] ?? '', /worker ended \(SIGKILL\): restarting in 0\.5 s/);

  await one.stop(5000);
  assert.deepEqual([one.record.state, one.record.pid, startTimeOf(second)], ['stopped', null, null]);
});

test('what runs and is stuck is killed and started again; stuck for a moment is not enough', async () => {
  let looks = 0;
  const { one, said } = aProcess(steady, { stuck: { isStuck: async () => (looks += 1) !== 2 && one.record.restarts === 0, everyMs: 100, forMs: 500 } });
  await one.start();
  await until('the restart', async () => one.record.restarts === 1 && one.record.state === 'running', 10_000);
  await one.stop(5000);
  assert.ok(looks > 6);
  assert.deepEqual(said.filter((line) => line.includes('stuck')), ['worker has been stuck for 0.5 s: killed']);
});

test('a supervisor pauses one program and starts it again; stopped, it has forgotten the pause', async () => {
  const { spec } = aProcess(steady).one;
  const dataDir = join(dir, 'paused');
  const supervisor = createSupervisor(dataDir, () => undefined, ['worker'], createHold(undefined));
  const record = () => readStackRecord(layoutOf(dataDir).stateFile)!.processes[0]!;
  await supervisor.start(spec);
  const first = record().pid!;
  await supervisor.pause('worker');
  assert.deepEqual([record().state, record().pid, startTimeOf(first), supervisor.isPaused('worker')], ['paused', null, null, true]);
  await supervisor.resume('worker');
  assert.deepEqual([record().state, supervisor.isPaused('worker')], ['running', false]);
  await supervisor.pause('worker');
  await supervisor.stop();
  assert.equal(record().state, 'stopped');
});

test('a first start that fails is tried as often as it may be, and then told', async (t) => {
  const file = join(dir, 'starts');
  const failing = (times: number): string => `const fs = require('fs'); fs.appendFileSync('${file}', '.'); if (fs.readFileSync('${file}', 'utf8').length <= ${times}) process.exit(3); ${steady}`;
  const { one } = aProcess(failing(2), { firstStartsMost: 3 });
  t.after(() => one.stop(5000));
  await one.start();
  assert.deepEqual([one.record.state, one.record.restarts, readFileSync(file, 'utf8')], ['running', 0, '...']);
  rmSync(file);
  const { one: hopeless } = aProcess(failing(9), { firstStartsMost: 2 });
  await assert.rejects(hopeless.start(), (error: PipelineError) => error.code === 'server_failed');
  assert.deepEqual([hopeless.record.state, readFileSync(file, 'utf8')], ['failed', '..']);
});

test('it is not started again while its start is held', async (t) => {
  mkdirSync(join(dir, 'failpoints'));
  writeFileSync(join(dir, 'failpoints', 'start.worker'), '');
  const { one } = aProcess(steady);
  t.after(() => one.stop(5000));
  await one.start();
  process.kill(one.record.pid!, 'SIGKILL');
  await until('the restart to be due', async () => one.record.state === 'restarting', 10_000);
  await assert.rejects(until('a restart', async () => one.record.pid !== null, 2 * restartDelayMs(0)));
  rmSync(join(dir, 'failpoints', 'start.worker'));
  await until('the restart', async () => one.record.state === 'running', 10_000);
});

test('one that ignores its stop signal is killed after the budget', async () => {
  const { one, said } = aProcess(`process.on('SIGTERM', () => {}); ${steady}`);
  await one.start();
  const { pid } = one.record;
  const began = performance.now();
  await one.stop(300);
  assert.ok(performance.now() - began >= 290);
  assert.equal(startTimeOf(pid ?? 0), null);
  assert.match(said[0] ?? '', /did not stop within 0\.3 s: killed/);
});

test('a first start that fails says which program, why, and the end of its log', async () => {
  const { one, logFile } = aProcess(`console.error('the disk is full'); process.exit(7);`);
  await assert.rejects(one.start(), (error) => {
    assert.ok(error instanceof PipelineError && error.code === 'server_failed');
    assert.match(error.message, /^worker ended before it was ready \(exit code 7\)/);
    assert.ok(error.message.includes(logFile) && error.message.includes('the disk is full'));
    return true;
  });
  assert.equal(one.record.state, 'failed');
  await one.stop(100);
});

test('of what it printed before it ended, the lines that name an error are told', async () => {
  const { one } = aProcess(`console.log('INFO SocketException handled\\nERROR cannot bind\\n  at Socket.bind\\nCaused by: BindException: in use' + '\\nINFO closed'.repeat(30)); process.exit(3)`);
  await assert.rejects(one.start(), ({ message }: Error) => message.endsWith('.log:\n  ERROR cannot bind\n  Caused by: BindException: in use'));
});

test('a program that does not exist is a failed start, not a crash', async () => {
  const { one } = aProcess('', { command: async () => ({ file: '/nonexistent/server', args: [], env: {} }) });
  await assert.rejects(one.start(), /worker ended before it was ready \(spawn \/nonexistent\/server ENOENT\)/);
});

test('stop while it is still starting leaves nothing behind', async () => {
  const { one, logFile } = aProcess(`console.log('up'); setInterval(() => {}, 1000);`, { ready: () => Promise.reject(new Error('not yet')) });
  const started = one.start();
  started.catch(() => undefined);
  await until('the program to run', async () => one.record.pid !== null && readFileSync(logFile, 'utf8').includes('up'), 10_000);
  const { pid } = one.record;
  await one.stop(5000);
  await assert.rejects(started);
  assert.equal(startTimeOf(pid ?? 0), null);
});

test('the pause before a restart doubles from half a second to thirty', () => {
  assert.deepEqual([0, 1, 2, 5, 6, 100].map(restartDelayMs), [500, 1000, 2000, 16_000, 30_000, 30_000]);
});
