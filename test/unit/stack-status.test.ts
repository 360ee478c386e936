/** Goal: a stack is called healthy only when everything runs and changes flow, and what is not so is named. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PipelineError } from '../../src/domain/errors.ts';
import { tryLock } from '../../src/stack/lock.ts';
import { readStackRecord } from '../../src/stack/state-file.ts';
import { heartbeatMs, problemsOf } from '../../src/stack/status.ts';
import { stopStack } from '../../src/stack/stop-stack.ts';
import { createSupervisor } from '../../src/stack/supervisor.ts';
import { runSluice } from '../stack.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-status-'));
after(() => rmSync(dir, { recursive: true }));

type Facts = Parameters<typeof problemsOf>[0];

const flowing: Facts = {
  processes: [{ name: 'redis', pid: 1, ports: [1], state: 'running', restarts: 0 }],
  connector: { state: 'RUNNING', tasks: ['RUNNING'], oversizedEvent: null },
  slot: { active: true, walStatus: 'reserved', retainedBytes: 0 },
  lag: [{ topic: 't', partition: 0, events: 5, ms: 5 }],
  heartbeat: { ageMs: 29_000 },
  halted: {},
  disk: { freeBytes: 2 ** 30 },
};
const problemsWith = (changed: Partial<Facts>, intervalMs = 5000): string[] => problemsOf({ ...flowing, ...changed }, intervalMs);

test('a stack in which everything runs and flows has no problem', () => {
  assert.deepEqual(problemsWith({}), []);
});

test('a heartbeat may be half a minute old, or six of its intervals', () => {
  assert.deepEqual(problemsWith({ heartbeat: { ageMs: 31_000 } }), ['no heartbeat has reached Redis for 31 s']);
  assert.deepEqual(problemsWith({ heartbeat: { ageMs: 59_000 } }, 10_000), []);
  assert.deepEqual(problemsWith({ heartbeat: { ageMs: 61_000 } }, 10_000), ['no heartbeat has reached Redis for 61 s']);
});

test('a program that is paused on request is no problem', () => {
  assert.deepEqual(problemsWith({ processes: [{ ...flowing.processes[0]!, state: 'paused' }] }), []);
});

test('each part that is not as it should be is one problem', () => {
  const { processes: [one] } = flowing;
  const cases: [Partial<Facts>, string][] = [
    [{ processes: [{ ...one!, state: 'restarting' }] }, 'redis restarting'],
    [{ connector: { ...flowing.connector, tasks: ['FAILED'] } }, 'connector RUNNING/FAILED'],
    [{ connector: { ...flowing.connector, tasks: [] } }, 'connector RUNNING'],
    [{ slot: null }, 'replication slot unknown'],
    [{ slot: { ...flowing.slot!, active: false } }, 'replication slot inactive'],
    [{ lag: [] }, 'lag unknown'],
    [{ heartbeat: null }, 'heartbeat unknown'],
    [{ halted: { orders: 'topic cut' } }, 'orders halted: topic cut'],
    [{ disk: { freeBytes: 5 * 2 ** 20 } }, 'disk full: 5 MiB free in SLUICE_DATA_DIR'],
  ];
  for (const [changed, problem] of cases) assert.deepEqual(problemsWith(changed), [problem]);
});

test('the age of a heartbeat is counted from the row’s own time', () => {
  assert.equal(heartbeatMs('{"id":1,"ts":"2026-01-02T03:04:05.678Z"}'), Date.UTC(2026, 0, 2, 3, 4, 5, 678));
});

test('a running supervisor whose record cannot be read is not taken for a stopped stack', async () => {
  mkdirSync(join(dir, 'run'));
  writeFileSync(join(dir, 'run', 'stack.json'), '');
  assert.equal(await stopStack(dir), false);
  const lock = await tryLock(realpathSync(dir), 'stack');
  await assert.rejects(stopStack(dir, { lockBudgetMs: 100 }), (error) => error instanceof PipelineError && error.message.includes(dir));
  lock?.release();
  assert.equal(await stopStack(join(dir, 'absent')), false);
});

test('nobody starts a stack while what it left is removed', async () => {
  let lock: unknown = 'not asked';
  await stopStack(dir, { onStopped: () => void (lock = tryLock(realpathSync(dir), 'stack')) });
  assert.equal(await lock, null);
});

test('a supervisor whose data folder is removed, or cannot be written, says so and goes on', async () => {
  const root = mkdtempSync(join(tmpdir(), 'sluice-supervisor-'));
  const said: string[] = [];
  const supervisor = createSupervisor(root, (line) => said.push(line), ['redis'], async () => undefined);
  rmSync(root, { recursive: true });
  supervisor.markProven();
  assert.equal(readStackRecord(join(root, 'run', 'stack.json'))?.proven, true);
  rmSync(join(root, 'run'), { recursive: true });
  writeFileSync(join(root, 'run'), '');
  supervisor.markProven();
  supervisor.markProven();
  assert.deepEqual(said.map((line) => /cannot be written \((\w+)\)/.exec(line)?.[1]), ['EEXIST']);
  await supervisor.stop();
  rmSync(root, { recursive: true });
});

test('reset leaves a folder alone in which no stack was started', async () => {
  const root = mkdtempSync(join(tmpdir(), 'sluice-foreign-'));
  mkdirSync(join(root, 'redis'));
  const { code, stdout } = await runSluice({ SLUICE_DATA_DIR: root }, ['reset', '--yes', '--json']);
  assert.deepEqual([code, JSON.parse(stdout), existsSync(join(root, 'redis'))], [0, { removed: false, dataDir: root }, true]);
  rmSync(root, { recursive: true });
});
