/**
 * Goal: an alert with a thousand occurrences keeps a short history and forgets nothing. Method: a server that advises to continue as new after
 * few events; occurrences arrive while channels are in work and while nothing is.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { alertWorkflowId } from '../../src/domain/alert.ts';
import { acknowledgeUpdate, alertStateQuery, alertWorkflowType, occurrenceSignal, resolveUpdate, type AlertState } from '../../src/workflows/alert-contract.ts';
import { taskQueue } from '../../src/workflows/contract.ts';
import { anAlert, createAlertFakes } from '../alert-fakes.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
const fakes = createAlertFakes();
const { attempts, taken, script } = fakes;

before(async () => {
  temporal = await startTemporal(fakes.activities, { suggestedHistoryEvents: 150 });
});
beforeEach(() => fakes.reset());
after(() => temporal.stop());

async function open(entity: string) {
  const message = anAlert({ entity });
  const workflowId = alertWorkflowId(message);
  await temporal.client.workflow.signalWithStart(alertWorkflowType, { workflowId, taskQueue, args: [{ first: message }], signal: occurrenceSignal, signalArgs: [message] });
  const alert = temporal.client.workflow.getHandle(workflowId);
  const again = (n: number, partition = 0) => alert.signal(occurrenceSignal, anAlert({ entity, origin: `ecommerce.public.orders-${partition}:${n}` }, n));
  const state = () => alert.query<AlertState>(alertStateQuery);
  const update = (name: string, ...args: [string, ...string[]]) => alert.executeUpdate<AlertState, [string, ...string[]]>(name, { args });
  const runId = async () => (await alert.describe()).runId;
  return { alert, again, state, update, runId };
}

test('a thousand occurrences out of four partitions, some of them twice: each is counted once, the history stays short, nobody is told again', async () => {
  const { alert, again, state, update, runId } = await open('busy');
  const first = await runId();
  const lane = async (partition: number): Promise<void> => {
    for (let n = 2; n <= 250; n += 1) {
      await again(n, partition);
      if (n % 5 === 0) await again(n - 3, partition);
    }
  };
  await Promise.all([0, 1, 2, 3].map(lane));
  for (const partition of [1, 2, 3]) await again(251, partition);
  await until('all are counted', async () => (await state()).occurrences === 1000);
  const { historyLength } = await alert.describe();
  assert.notEqual(await runId(), first);
  assert.ok(historyLength < 400, `${historyLength} events`);
  assert.deepEqual([...attempts].sort(), ['opened slack', 'opened webhook']);
  const now = await state();
  assert.deepEqual([now.status, now.value, now.notifications.length], ['notified', '261', 2]);
  await update(acknowledgeUpdate, 'ann', 'seen');
  await update(resolveUpdate, 'ann', 'done');
  const end = (await alert.result()) as AlertState;
  assert.deepEqual([end.occurrences, end.acknowledged?.by, taken.length], [1000, 'ann', 4]);
});

test('a delivery that is being tried is taken along into the run that follows, under the same id', async () => {
  let isDead = true;
  const ids = new Set<string>();
  script.dead.slack = async ({ notice }) => {
    if (notice.kind === 'opened') ids.add(notice.id);
    if (isDead) throw ApplicationFailure.create({ message: 'HTTP 503', type: 'channel_unavailable' });
  };
  const { again, state, update, runId, alert } = await open('carried');
  await until('webhook is told', async () => taken.includes('opened webhook'));
  const first = await runId();
  for (let n = 2; n <= 200; n += 1) await again(n);
  await until('it has continued as new', async () => (await runId()) !== first);
  const before = await state();
  assert.equal(before.notifications.find(({ channel }) => channel === 'slack')?.result, 'pending');
  isDead = false;
  await until('slack is told', async () => (await state()).notifications.every(({ result }) => result === 'delivered'));
  assert.equal(ids.size, 1);
  assert.equal(taken.filter((name) => name === 'opened slack').length, 1);
  assert.equal(taken.filter((name) => name === 'opened webhook').length, 1);
  await update(resolveUpdate, 'ann', '');
  assert.equal(((await alert.result()) as AlertState).occurrences, 200);
});

test('a notice that nobody has tried within its time stays queued, and is told when somebody does', async () => {
  script.plan = { deliverySeconds: 2 };
  script.before['opened webhook'] = [() => new Promise((_resolve, reject) => setTimeout(() => reject(new Error('too late')), 4_000))]; // for Temporal as if its worker were away
  const { alert, state, update } = await open('waiting');
  await until('both are told', async () => (await state()).notifications.filter(({ result }) => result === 'delivered').length === 2);
  assert.deepEqual([...attempts].sort(), ['opened slack', 'opened webhook', 'opened webhook']);
  assert.deepEqual((await state()).failing, {});
  await update(resolveUpdate, 'ann', 'done');
  await alert.result();
});

test('what has not passed the storm gate when the history ends is told by the run that follows, once', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let asked = 0;
  script.admit = async ({ id }) => {
    asked += 1;
    await held;
    return asked === 1 ? { how: 'alone', group: '' } : { how: 'lead', group: id };
  };
  const { again, state, update, alert } = await open('gated');
  await until('the gate is asked', async () => asked === 1);
  await Promise.all(Array.from({ length: 99 }, (_, n) => again(1, n + 1))); // of as many partitions, within the five seconds of one attempt at the gate
  release();
  await until('it is told', async () => (await state()).status === 'notified');
  await until('both are told', async () => taken.length === 2);
  assert.deepEqual([...taken].sort(), ['opened slack', 'opened webhook']);
  await update(resolveUpdate, 'ann', '');
  assert.equal(((await alert.result()) as AlertState).occurrences, 100);
});
