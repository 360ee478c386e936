/**
 * Goal: every way a batch run can go ends as it should: pointers only after everything, failures told once, staging removed.
 * Method: the real workflow on a real Temporal server whose time can be skipped; activities are fakes that record their order.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { connectTemporal } from '../../src/adapters/temporal.ts';
import { batchProgressQuery, type BatchInput, type BatchProgress, type BatchResult } from '../../src/workflows/batch-contract.ts';
import { taskQueue } from '../../src/workflows/contract.ts';
import { createBatchFakes } from '../batch-fakes.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
const fakes = createBatchFakes();
const { calls, script } = fakes;

before(async () => {
  temporal = await startTemporal(fakes.activities, { skipTime: true });
});
beforeEach(() => fakes.reset());
after(() => temporal.stop());

const window = { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' };
let runs = 0;
const start = (input: Partial<BatchInput> = {}) =>
  temporal.client.workflow.start('batchEtl', { workflowId: `batch-${(runs += 1)}`, taskQueue, args: [{ window, publish: 'latest', ...input }] });
type Handle = Awaited<ReturnType<typeof start>>;

const causeOf = async (handle: Handle): Promise<{ type: string; message: string }> => {
  const error: unknown = await handle.result().then(() => assert.fail('the run succeeded'), (failure: unknown) => failure);
  assert.ok(error instanceof WorkflowFailedError);
  const cause = (error.cause as Error).cause instanceof ApplicationFailure ? ((error.cause as Error).cause as ApplicationFailure) : (error.cause as ApplicationFailure);
  return { type: String(cause.type), message: cause.message };
};

test('a run extracts, checks, transforms and loads, then removes what it staged; its history is short and tells its stage', async () => {
  const handle = await start();
  const result = (await handle.result()) as BatchResult;
  assert.deepEqual(calls, ['extract 1', 'check', 'transform', 'load', 'drop published']);
  assert.deepEqual(result.window, window);
  assert.equal(result.records.customers, 2);
  const { typedSearchAttributes, historyLength } = await handle.describe();
  const attributes = Object.fromEntries([...typedSearchAttributes.getAll()].map(({ key, value }) => [key.name, value]));
  assert.equal(attributes['PipelineStage'], 'done');
  assert.equal(attributes['QualityVerdict'], 'pass');
  assert.equal(attributes['RowsLoaded'], 6);
  assert.deepEqual(attributes['WindowStart'], new Date(window.start));
  assert.ok(historyLength < 200, `${historyLength} events`);
});

test('a database that is away for twenty minutes is waited for, and the run completes', async () => {
  const away = 24; // attempts: 1 + 2 + 4 + … + 60 + 60 …
  for (let i = 0; i < away; i += 1) script.extract.push(() => Promise.reject(ApplicationFailure.create({ message: 'away', type: 'postgres_unavailable' })));
  await (await start()).result();
  assert.equal(calls.filter((call) => call === 'extract 1').length, away + 1);
  assert.equal(calls.at(-1), 'drop published');
});

test('what cannot work fails at once, is counted once, and nothing stays', async () => {
  script.extract.push(() => Promise.reject(ApplicationFailure.nonRetryable('orders.total_amount is text', 'batch_schema')));
  const { type } = await causeOf(await start());
  assert.equal(type, 'batch_schema');
  assert.deepEqual(calls, ['extract 1', 'drop unpublished', 'failure null orders.total_amount is text']);
});

test('a worker that falls silent in the middle is replaced by the next attempt', async () => {
  script.extract.push(() => delay(600_000, undefined, { signal: Context.current().cancellationSignal }).then(() => assert.fail('it was never missed')));
  await (await start()).result();
  assert.deepEqual(calls, ['extract 1', 'extract 1', 'check', 'transform', 'load', 'drop published']);
});

test('a cancel in the middle of an extraction reaches it, removes what was staged and counts as no failure', async () => {
  let sawCancel = false;
  script.extract.push(async () => {
    const context = Context.current();
    const beat = setInterval(() => context.heartbeat(), 100);
    await context.cancelled.finally(() => {
      sawCancel = true;
      clearInterval(beat);
    });
    return assert.fail('unreachable');
  });
  const handle = await start();
  await until('the extraction runs', async () => calls.includes('extract 1'));
  await handle.cancel();
  await assert.rejects(handle.result());
  assert.equal((await handle.describe()).status.name, 'CANCELLED');
  assert.ok(sawCancel);
  assert.deepEqual(calls, ['extract 1', 'drop unpublished']);
});

test('a blocked run loads nothing, says why, and leaves what is staged for a person', async () => {
  script.verdict = 'block';
  const handle = await start();
  const { type, message } = await causeOf(handle);
  assert.equal(type, 'quality_blocked');
  assert.match(message, /1 row of orders without a customer/);
  assert.deepEqual(calls.slice(0, 2), ['extract 1', 'check']);
  assert.equal(calls.length, 3);
  assert.match(calls[2]!, /^failure block /);
  const progress = await handle.query<BatchProgress>(batchProgressQuery);
  assert.equal(progress.stage, 'blocked');
});

test('lost staging costs another extraction, not the run; lost three times, it fails', async () => {
  const lose = () => Promise.reject(ApplicationFailure.nonRetryable('gone', 'staging_lost'));
  script.transform.push(lose);
  const result = (await (await start()).result()) as BatchResult;
  assert.equal(result.records.customers, 2);
  assert.deepEqual(calls, ['extract 1', 'check', 'transform', 'extract 2', 'check', 'transform', 'load', 'drop published']);
  fakes.reset();
  script.transform.push(lose, lose, lose);
  assert.equal((await causeOf(await start())).type, 'staging_lost');
  assert.deepEqual(calls.filter((call) => call.startsWith('extract')), ['extract 1', 'extract 2', 'extract 3']);
});

test('a load that dies is repeated, and the run is published by the one that ends', async () => {
  script.load.push(() => Promise.reject(new Error('the worker died')));
  await (await start()).result();
  assert.deepEqual(calls.slice(-3), ['load', 'load', 'drop published']);
});

test('a paused run stops before its next step; pause and resume in one breath change nothing', async () => {
  let release: () => void = () => undefined;
  script.extract.push(() => new Promise<void>((resolve) => (release = resolve)));
  const handle = await start();
  await until('the extraction runs', async () => calls.includes('extract 1'));
  await handle.signal('pause');
  await handle.signal('resume');
  await handle.signal('pause');
  release();
  await until('it is paused', async () => (await handle.query<BatchProgress>(batchProgressQuery)).rows !== null);
  await delay(300);
  assert.deepEqual(calls, ['extract 1']);
  await handle.signal('resume');
  await handle.result();
  assert.equal(calls.at(-1), 'drop published');
});

test('bad input fails at once and says what is wanted', async () => {
  const inputs: [Partial<BatchInput>, RegExp][] = [
    [{ window: { start: 'yesterday', end: window.end } }, /window.start must be a time such as/],
    [{ window: { start: window.end, end: window.start } }, /before window.end/],
    [{ window: undefined as never }, /only a run of the schedule may leave the window out/],
  ];
  for (const [input, wanted] of inputs) {
    const { type, message } = await causeOf(await start(input));
    assert.equal(type, 'bad_argument');
    assert.match(message, wanted);
  }
  assert.deepEqual(calls, []);
});

test('a scheduled run derives its window from the time it was scheduled for, and the schedule is told of failures in a row', async () => {
  const { client } = temporal;
  const schedule = await client.schedule.create({
    scheduleId: 'batch-test',
    spec: { intervals: [{ every: '1 day' }] },
    action: { type: 'startWorkflow', workflowType: 'batchEtl', workflowId: 'batch-scheduled', taskQueue, args: [{ intervalSeconds: 3600, windowHours: 24, publish: 'latest' }] },
  });
  script.extract.push(() => Promise.reject(ApplicationFailure.nonRetryable('wrong', 'batch_schema')));
  const at = new Date('2026-11-20T00:00:00Z');
  await schedule.backfill({ start: at, end: at, overlap: 'ALLOW_ALL' });
  await until('the schedule was told', async () => calls.some((call) => call.startsWith('pause')));
  assert.deepEqual(calls, ['extract 1', 'drop unpublished', 'failure null wrong', 'pause after 1']);
  await assert.rejects(client.workflow.getHandle('batch-scheduled-2026-11-20T00:00:00Z').result()); // while it is open no other of its id starts
  fakes.reset();
  await schedule.backfill({ start: at, end: at, overlap: 'ALLOW_ALL' });
  await until('the run ended', async () => calls.includes('drop published'));
  assert.deepEqual(fakes.windows.at(-1), { start: '2026-11-19T00:00:00Z', end: '2026-11-20T00:00:00Z' });
  await schedule.delete();
});

test('a tick that an outage has missed is made up for as long as the next one is not due', async () => {
  const schedules = await connectTemporal({ address: temporal.address, namespace: temporal.client.options.namespace });
  const catchupOf = async (everySeconds: number): Promise<number> => {
    await schedules.ensureSchedule({ id: 'batch-missed', workflowType: 'batchEtl', workflowId: 'batch-missed', taskQueue, everySeconds, catchupMinutes: 5, note: '' });
    return (await temporal.client.schedule.getHandle('batch-missed').describe()).policies.catchupWindow / 1000;
  };
  assert.equal(await catchupOf(60), 300);
  assert.equal(await catchupOf(7210), 7210);
  await temporal.client.schedule.getHandle('batch-missed').delete();
  await schedules.close();
});
