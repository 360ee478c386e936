/**
 * Goal: an alert that is cancelled ends, whatever it waits for, and Redis does not call it open. Method: the real workflow on a real Temporal
 * server that advises to continue as new after few events; activities are fakes that are away, or hold, at the moment of the cancellation.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { alertWorkflowId } from '../../src/domain/alert.ts';
import { alertStateQuery, alertWorkflowType, occurrenceSignal, type AlertState } from '../../src/workflows/alert-contract.ts';
import { taskQueue } from '../../src/workflows/contract.ts';
import { anAlert, createAlertFakes } from '../alert-fakes.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
const fakes = createAlertFakes();
const { attempts, shown, script } = fakes;

before(async () => {
  temporal = await startTemporal(fakes.activities, { suggestedHistoryEvents: 150 });
});
beforeEach(() => fakes.reset());
after(() => temporal.stop());

async function open(entity: string) {
  const message = anAlert({ entity });
  const workflowId = alertWorkflowId(message);
  const alert = await temporal.client.workflow.start(alertWorkflowType, { workflowId, taskQueue, args: [{ first: message }] });
  const again = (n: number) => alert.signal(occurrenceSignal, anAlert({ entity, origin: `ecommerce.public.orders-0:${n}` }, n));
  const become = (status: string) => until(`it is ${status}`, async () => (await alert.query<AlertState>(alertStateQuery)).status === status);
  const statusOf = async () => (await alert.describe()).status.name;
  const isCancelled = async (): Promise<void> => {
    await until('it is cancelled', async () => (await statusOf()) === 'CANCELLED');
    assert.equal(shown.at(-1)?.status, 'resolved');
    assert.equal((await alert.query<AlertState>(alertStateQuery)).resolved?.reason, 'its workflow was cancelled');
  };
  return { alert, again, become, statusOf, isCancelled };
}

/** Holds whoever waits for `held` until `release` is called. */
function hold(): { held: Promise<void>; release: () => void } {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  return { held, release };
}

test('while nothing is in work', async () => {
  const { alert, become, isCancelled } = await open('idle');
  await become('notified');
  await alert.cancel();
  await isCancelled();
});

test('while Redis is away: it answers, and is over once Redis says so', async () => {
  let isAway = false;
  let asked = 0;
  script.project = async () => {
    asked += 1;
    if (isAway) throw new Error('Redis is away');
  };
  const { alert, again, become, statusOf, isCancelled } = await open('away');
  await become('notified');
  await until('Redis shows it', async () => shown.at(-1)?.status === 'notified');
  isAway = true;
  const before = asked;
  await again(2);
  await until('its count is being written', async () => asked > before);
  await alert.cancel();
  await become('resolved');
  assert.equal(await statusOf(), 'RUNNING');
  isAway = false;
  await isCancelled();
});

test('within the seconds in which a count waits to be written', async () => {
  const { alert, again, become, isCancelled } = await open('count');
  await become('notified');
  await until('Redis shows it', async () => shown.at(-1)?.status === 'notified');
  await again(2);
  await until('it is counted', async () => (await alert.query<AlertState>(alertStateQuery)).occurrences === 2);
  await alert.cancel();
  await isCancelled();
  assert.equal(shown.at(-1)?.occurrences, 2);
});

test('before it is known who is to be told', async () => {
  const { held, release } = hold();
  let isAsked = false;
  script.beforePlan = async () => {
    isAsked = true;
    await held;
  };
  const { alert, isCancelled } = await open('unplanned');
  await until('the plan is asked for', async () => isAsked);
  await alert.cancel();
  await isCancelled();
  release();
  assert.deepEqual(attempts, []);
});

test('while it waits for an attempt before it continues as new', async () => {
  const { held, release } = hold();
  script.dead.slack = () => held;
  const { alert, again, isCancelled } = await open('full');
  await until('slack is tried', async () => attempts.includes('opened slack'));
  for (let n = 2; n <= 150; n += 1) await again(n);
  await until('its history is long enough', async () => (await alert.describe()).historyLength > 160);
  await alert.cancel();
  release();
  await isCancelled();
});
