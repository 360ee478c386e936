/**
 * Goal: rows are removed only after an undisturbed reading that is applied whole; what ends half way says so and tidies up.
 * Method: the real workflow on a real Temporal server; activities are fakes that record their order and are scripted to fail.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { rebuildProgressQuery, taskQueue, type RebuildActivities, type RebuildInput, type RebuildProgress, type Round, type Scan } from '../../src/workflows/contract.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
let calls: string[] = [];
let generation = 0;
/** Rounds that are disturbed before one is not. */
let disturbances = 0;
/** What the next looks at Debezium's notifications tell; then the scan is done. */
let scans: Partial<Scan>[] = [];
/** Rows that a sweep finds, and why the tables were cut. */
let stale = 0;
let cut = '';
/** What is still to be applied, at one look after the other. */
let lefts: number[] = [];
/** Sweeps before which Redis was emptied, and ends before which it has gone back. */
let emptied = 0;
let wentBack = 0;
let plan: (() => ReturnType<RebuildActivities['planRebuild']>) | null = null;

const note = (call: string): void => void calls.push(call);
const nextRound = (tables: string[]): Round => {
  generation += 1;
  return { cursor: '0', tables: tables.map((table) => ({ table, generation, mark: '0', columns: '{}', cut })) };
};
const fakes: RebuildActivities = {
  planRebuild: async (_tables, mode) => (plan ? plan() : { mode, note: '' }),
  announceRebuild: async () => note('announce'),
  rewindTables: async (tables) => {
    note('rewind');
    return { round: nextRound(tables), ends: [{ topic: 't', partition: 0, high: '5' }] };
  },
  beginRound: async (tables) => {
    note('begin');
    return nextRound(tables);
  },
  requestSnapshot: async (_tables, signalId) => note(`signal ${signalId.at(-1)}`),
  followScan: async (tables, scan) => {
    const told = scans.shift();
    return told ? { ...scan, ...told } : { ...scan, done: tables };
  },
  stopSnapshot: async () => note('stop snapshot'),
  noteEnds: async () => [],
  waitApplied: async () => {
    const left = lefts.shift() ?? 0;
    if (left > 0) note(`left ${left}`);
    return left;
  },
  isUndisturbed: async () => disturbances-- <= 0,
  sweepOlder: async ({ tables }) => {
    note(`sweep below ${tables[0]?.generation}`);
    return emptied-- > 0 ? null : stale;
  },
  finishRebuild: async (_round, mode) => {
    note(`finish ${mode}`);
    return wentBack-- > 0;
  },
  abandonRebuild: async (_tables, why) => note(`abandon ${why}`),
  stopConnector: async () => note('stop connector'),
  resetSource: async () => note('reset source'),
  resumeConnector: async () => note('resume connector'),
  forgetHistory: async () => note('forget history'),
};

before(async () => {
  temporal = await startTemporal(fakes);
});
beforeEach(() => {
  calls = [];
  scans = [];
  generation = 0;
  disturbances = 0;
  stale = 0;
  cut = '';
  lefts = [];
  emptied = 0;
  wentBack = 0;
  plan = null;
});
after(() => temporal.stop());

let runs = 0;
const start = (input: Partial<RebuildInput>) =>
  temporal.client.workflow.start('rebuildReplica', { workflowId: `test-${(runs += 1)}`, taskQueue, args: [{ tables: ['orders'], mode: 'snapshot', why: 'a test', ...input }] });

test('a snapshot that was disturbed is read again, and only the last reading removes rows', async () => {
  disturbances = 1;
  const result = (await (await start({})).result()) as RebuildProgress;
  assert.deepEqual(calls, ['announce', 'begin', 'signal 1', 'begin', 'signal 2', 'sweep below 2', 'finish snapshot']);
  assert.equal(result.round, 2);
});

test('a topic that has not told of rows that are gone, or was cut, is not taken for the whole again', async () => {
  for (const set of [() => void (stale = 7), () => void ([stale, cut] = [0, 'the topic was cut'])]) {
    calls = [];
    set();
    const result = (await (await start({})).result()) as RebuildProgress;
    assert.deepEqual(calls.slice(-2), ['forget history', 'finish snapshot']);
    assert.equal(result.rowsSwept, stale);
  }
});

test('generations are raised when all that the topics hold is applied', async () => {
  lefts = [7, 3, 0, 5];
  await (await start({})).result();
  assert.deepEqual(calls, ['announce', 'left 7', 'left 3', 'begin', 'signal 1', 'left 5', 'sweep below 1', 'finish snapshot']);
});

test('of a Redis that was emptied nothing is removed: the table is read again', async () => {
  for (const mode of ['snapshot', 'topic'] as const) {
    calls = [];
    generation = 0;
    emptied = 1;
    await (await start({ mode })).result();
    const first = mode === 'topic' ? ['rewind'] : ['begin', 'signal 1'];
    const second = mode === 'topic' ? 'signal 1' : 'signal 2';
    assert.deepEqual(calls, ['announce', ...first, 'sweep below 1', 'begin', second, 'sweep below 2', 'finish snapshot']);
  }
});

test('what a Redis that went back has forgotten of a sweep is swept again', async () => {
  wentBack = 2;
  await (await start({})).result();
  assert.deepEqual(calls, ['announce', 'begin', 'signal 1', ...['sweep below 1', 'finish snapshot', 'sweep below 1', 'finish snapshot', 'sweep below 1', 'finish snapshot']]);
});

test('a snapshot that the connector has forgotten is asked for again', async () => {
  scans = [{ rowsRead: { orders: 10 } }, { lost: true }];
  const result = (await (await start({})).result()) as RebuildProgress;
  assert.deepEqual(calls, ['announce', 'begin', 'signal 1', 'begin', 'signal 2', 'sweep below 2', 'finish snapshot']);
  assert.equal(result.note, 'the connector began anew: reading it again');
});

test('a reading that is refused before it begins says why and leaves what is told as it was', async () => {
  plan = () => Promise.reject(ApplicationFailure.nonRetryable('orders cannot be read again', 'source_refused'));
  const handle = await start({});
  await assert.rejects(handle.result());
  assert.deepEqual(calls, []);
  assert.equal((await handle.query<RebuildProgress>(rebuildProgressQuery)).note, 'orders cannot be read again');
});

test('a topic that is disturbed while it is read is left for the source', async () => {
  disturbances = 1;
  const result = (await (await start({ mode: 'topic' })).result()) as RebuildProgress;
  assert.deepEqual(calls, ['announce', 'rewind', 'begin', 'signal 1', 'sweep below 2', 'finish snapshot']);
  assert.match(result.note, /while its topic was read: reading from the source instead/);
});

test('a new slot is taken only after the topics are applied, and its history is forgotten before the halt is taken back', async () => {
  await (await start({ mode: 'all' })).result();
  assert.deepEqual(calls, ['announce', 'stop connector', 'begin', 'reset source', 'resume connector', 'sweep below 1', 'forget history', 'finish all']);
});

test('a topic is read from its beginning; one that is not whole is left for the source', async () => {
  await (await start({ mode: 'topic' })).result();
  assert.deepEqual(calls, ['announce', 'rewind', 'sweep below 1', 'finish topic']);
  calls = [];
  plan = async () => ({ mode: 'snapshot', note: 'its beginning is gone' });
  const result = (await (await start({ mode: 'topic' })).result()) as RebuildProgress;
  assert.ok(calls.includes('signal 1') && !calls.includes('rewind'));
  assert.equal(result.note, 'its beginning is gone');
});

test('a cancel while Debezium reads stops it, removes nothing and leaves no blame', async () => {
  scans = Array.from({ length: 100_000 }, () => ({ rowsRead: { orders: 10 }, rowsTotal: { orders: 100 } }));
  const handle = await start({});
  await until('it reads', async () => (await handle.query<RebuildProgress>(rebuildProgressQuery)).rowsRead === 10);
  await handle.cancel();
  await assert.rejects(handle.result());
  assert.deepEqual(calls, ['announce', 'begin', 'signal 1', 'stop snapshot', 'abandon ']);
  assert.equal((await handle.query<RebuildProgress>(rebuildProgressQuery)).phase, 'cancelled');
});

test('a snapshot that Debezium cannot finish fails, names the way out and removes nothing', async () => {
  scans = [{ failed: 'Debezium could not read orders (SQL_EXCEPTION)' }];
  const handle = await start({});
  await assert.rejects(handle.result());
  assert.match(calls.at(-1)!, /^abandon the rebuild failed \(Debezium could not read orders.*run sluice resync orders$/);
  assert.ok(!calls.some((call) => call.startsWith('sweep')));
});

test('a snapshot that Debezium gave up because columns changed meanwhile is read again', async () => {
  scans = [{ failed: 'Debezium could not read orders (SQL_EXCEPTION)' }];
  disturbances = 2; // asked about the failure, and about the round
  await (await start({})).result();
  assert.deepEqual(calls, ['announce', 'begin', 'signal 1', 'begin', 'signal 2', 'sweep below 2', 'finish snapshot']);
});
