/**
 * Goal: a backfill runs each wanted window once, no more at a time than it may, and can be paused, resumed and cancelled at any moment.
 * Method: the real workflows, parent and children, on a real Temporal server; activities are fakes that record their order.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { windowOf } from '../../src/domain/batch-window.ts';
import { backfillProgressQuery, batchWorkflowId, type BackfillInput, type BackfillProgress, type BackfillRequest } from '../../src/workflows/batch-contract.ts';
import { taskQueue } from '../../src/workflows/contract.ts';
import { createBatchFakes } from '../batch-fakes.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
const fakes = createBatchFakes();
const { calls, script, windows } = fakes;

before(async () => {
  temporal = await startTemporal(fakes.activities, { suggestedHistoryEvents: 150 });
});
beforeEach(() => fakes.reset());
after(() => temporal.stop());

let year = 2000;
let runs = 0;
/** Each test has windows of its own. */
const spanOf = (days: number) => {
  year += 1;
  return { from: `${year}-01-01T00:00:00Z`, to: windowOf({ from: `${year}-01-01T00:00:00Z`, to: '', everySeconds: 86_400 }, days - 1).end, everySeconds: 86_400 };
};
const start = (input: BackfillRequest) =>
  temporal.client.workflow.start('backfill', { workflowId: `backfill/${(runs += 1)}`, taskQueue, args: [input] });
const progressOf = (handle: Awaited<ReturnType<typeof start>>) => handle.query<BackfillProgress>(backfillProgressQuery);
const ends = (span: { from: string; to: string; everySeconds: number }, days: number): string[] => Array.from({ length: days }, (_, at) => windowOf(span, at).end);

test('thirty days: each window once, over several histories, with no more than it may at once', async () => {
  const span = spanOf(30);
  let inWork = 0;
  let most = 0;
  for (let i = 0; i < 30; i += 1) {
    script.extract.push(async () => {
      inWork += 1;
      most = Math.max(most, inWork);
      if (i < 3) await until('three are in work', async () => most >= 3).then(() => delay(500)); // time for a fourth
      inWork -= 1;
    });
  }
  const handle = await start({ ...span, concurrency: 3 });
  const progress = (await handle.result()) as BackfillProgress;
  assert.deepEqual({ ...progress, failedEnds: [] }, { total: 30, decided: 30, completed: 30, skipped: 0, failed: 0, failedEnds: [], running: [], paused: false });
  assert.deepEqual(windows.map(({ end }) => end).sort((a, b) => a.localeCompare(b)), ends(span, 30));
  assert.equal(most, 3);
  assert.ok((await handle.describe()).historyLength < 400);
  const first = await temporal.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId).describe();
  assert.equal(first.status.name, 'CONTINUED_AS_NEW');
});

test('the policy decides: a result that is there is skipped, one that failed is run only when asked for, all means all', async () => {
  const span = spanOf(3);
  const [present, failed, missing] = ends(span, 3) as [string, string, string];
  const wanted: [BackfillInput['policy'], string[]][] = [
    ['none', [missing]],
    ['failed', [failed, missing]],
    ['all', [present, failed, missing]],
  ];
  for (const [policy, expected] of wanted) {
    fakes.reset();
    script.states = { [present]: 'present', [failed]: 'failed' };
    const progress = (await (await start({ ...span, policy })).result()) as BackfillProgress;
    assert.deepEqual(windows.map(({ end }) => end).sort((a, b) => a.localeCompare(b)), expected, policy);
    assert.equal(progress.skipped, 3 - expected.length, policy);
  }
});

test('a window that fails does not stop the others; the backfill fails in the end and names it', async () => {
  const span = spanOf(3);
  script.extract.push(() => Promise.reject(ApplicationFailure.nonRetryable('wrong', 'batch_schema')));
  const handle = await start({ ...span, concurrency: 1 });
  await assert.rejects(handle.result());
  const progress = await progressOf(handle);
  assert.equal(progress.completed, 2);
  assert.deepEqual(progress.failedEnds, [ends(span, 1)[0]]);
});

test('a window whose run somebody cancels is counted as failed and named; the others go on', async () => {
  const span = spanOf(2);
  script.extract.push(async () => {
    const beat = setInterval(Context.current().heartbeat.bind(Context.current()), 100);
    await Context.current().cancelled.finally(() => clearInterval(beat));
  });
  const handle = await start({ ...span, concurrency: 1 });
  await until('the first run is in work', async () => calls.includes('extract 1'));
  const [first] = ends(span, 2) as [string, string];
  await temporal.client.workflow.getHandle(batchWorkflowId(first)).cancel();
  await assert.rejects(handle.result());
  assert.equal((await handle.describe()).status.name, 'FAILED');
  const { completed, failed, failedEnds } = await progressOf(handle);
  assert.deepEqual({ completed, failed, failedEnds }, { completed: 1, failed: 1, failedEnds: [first] });
});

test('a window that somebody else is running is left to them', async () => {
  const span = spanOf(1);
  const window = windowOf(span, 0);
  let release: () => void = () => undefined;
  script.extract.push(() => new Promise<void>((resolve) => (release = resolve)));
  const other = await temporal.client.workflow.start('batchEtl', { workflowId: batchWorkflowId(window.end), taskQueue, args: [{ window, publish: 'window' }] });
  await until('the other runs', async () => calls.includes('extract 1'));
  const progress = (await (await start({ ...span, policy: 'all' })).result()) as BackfillProgress;
  assert.equal(progress.skipped, 1);
  release();
  await other.result();
  assert.equal(windows.length, 1);
});

test('a pause reaches the runs in work and starts no others; resumed, everything is run once', async () => {
  const span = spanOf(6);
  const releases: (() => void)[] = [];
  for (let i = 0; i < 2; i += 1) script.extract.push(() => new Promise<void>((resolve) => releases.push(resolve)));
  const handle = await start(span);
  await until('two runs are in work', async () => releases.length === 2);
  await handle.signal('pause');
  await until('it is paused', async () => (await progressOf(handle)).paused);
  await until('the runs are told', async () => (await Promise.all(ends(span, 2).map((end) => temporal.client.workflow.getHandle(batchWorkflowId(end)).query<{ paused: boolean }>('batchProgress')))).every(({ paused }) => paused));
  for (const release of releases) release();
  await delay(500);
  assert.deepEqual(calls, ['extract 1', 'extract 1']);
  assert.equal((await progressOf(handle)).completed, 0);
  await handle.signal('resume');
  const progress = (await handle.result()) as BackfillProgress;
  assert.equal(progress.completed, 6);
  assert.equal(windows.length, 6);
});

test('a cancel reaches the runs in work, and the backfill ends when they have tidied up', async () => {
  const span = spanOf(4);
  for (let i = 0; i < 2; i += 1) {
    script.extract.push(async () => {
      const context = Context.current();
      const beat = setInterval(() => context.heartbeat(), 100);
      await context.cancelled.finally(() => clearInterval(beat));
    });
  }
  const handle = await start(span);
  await until('two runs are in work', async () => calls.length === 2);
  await handle.cancel();
  await assert.rejects(handle.result());
  assert.equal((await handle.describe()).status.name, 'CANCELLED');
  for (const end of ends(span, 2)) assert.equal((await temporal.client.workflow.getHandle(batchWorkflowId(end)).describe()).status.name, 'CANCELLED');
  assert.deepEqual(calls, ['extract 1', 'extract 1', 'drop unpublished', 'drop unpublished']);
});

test('what is left out is a window a day', async () => {
  const { from, to } = spanOf(2);
  assert.equal(((await (await start({ from, to })).result()) as BackfillProgress).total, 2);
});

test('a span that cannot be cut into windows, or too much at once, is refused', async () => {
  const inputs: [Partial<BackfillInput>, RegExp][] = [
    [{ to: '2000-01-02T12:00:00Z' }, /whole number of windows/],
    [{ from: '2000-02-01T00:00:00Z', to: '2000-01-01T00:00:00Z' }, /must be before/],
    [{ concurrency: 100 }, /concurrency must be 1 to 16/],
    [{ policy: 'some' as never }, /policy must be one of/],
  ];
  for (const [input, wanted] of inputs) {
    const handle = await start({ from: '2000-01-01T00:00:00Z', to: '2000-01-03T00:00:00Z', everySeconds: 86_400, ...input });
    await assert.rejects(handle.result(), (error: Error) => wanted.test(String((error.cause as Error).message)));
  }
});
