/**
 * Goal: an alert goes from its first occurrence to its end by every way there is, tells each channel what it should and nothing twice.
 * Method: the real workflow on a real Temporal server whose time can be skipped; activities are fakes that record what is told. What must
 * happen at one moment happens from within an activity: while one is in work, no time is skipped.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { alertWorkflowId } from '../../src/domain/alert.ts';
import type { AlertMessage } from '../../src/domain/alert-message.ts';
import { acknowledgeUpdate, alertStateQuery, alertWorkflowType, occurrenceSignal, overSignal, resolveUpdate, snoozeUpdate, type AlertState } from '../../src/workflows/alert-contract.ts';
import { taskQueue } from '../../src/workflows/contract.ts';
import { anAlert, createAlertFakes, failing } from '../alert-fakes.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let temporal: TestTemporal;
const fakes = createAlertFakes();
const { attempts, taken, notices, shown, script } = fakes;

before(async () => {
  temporal = await startTemporal(fakes.activities, { skipTime: true });
});
beforeEach(() => fakes.reset());
after(() => temporal.stop());

let entities = 0;
const deliver = (message: AlertMessage) =>
  temporal.client.workflow.signalWithStart(alertWorkflowType, {
    ...{ workflowId: alertWorkflowId(message), taskQueue, args: [{ first: message }], signal: occurrenceSignal, signalArgs: [message] },
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
  });
/** Starts an alert of its own. */
async function open(given: Partial<AlertMessage> = {}) {
  const message = anAlert({ entity: `e${(entities += 1)}`, ...given });
  const handle = await deliver(message);
  const { workflowId } = handle;
  const alert = temporal.client.workflow.getHandle(workflowId); // follows the alert when it continues as new
  const state = () => alert.query<AlertState>(alertStateQuery);
  const again = (n: number) => alert.signal(occurrenceSignal, anAlert({ ...message, at: message.episode + n * 1000, value: String(10 + n), origin: `ecommerce.public.orders-0:${n}` }));
  const update = (name: string, ...args: [string, ...string[]]) => alert.executeUpdate<AlertState, [string, ...string[]]>(name, { args });
  const result = () => alert.result() as Promise<AlertState>;
  /** So that nothing of it is told in the test that follows. */
  const close = async (): Promise<AlertState> => {
    await update(resolveUpdate, 'ann', '');
    return result();
  };
  const become = (status: string) => until(`it is ${status}`, async () => (await state()).status === status);
  return { message, alert, state, again, update, result, become, close };
}
const told = ({ notifications }: AlertState): string[] => notifications.map(({ kind, channel, result, attempts: count }) => `${kind} ${channel ?? '-'} ${result} ${count}`);
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

test('an alert is told once to every channel, waits, and is resolved by a person; whoever was told is told of the end', async () => {
  const { update, result, become, alert, message } = await open();
  await until('both are told', async () => attempts.length === 2);
  await become('notified');
  assert.deepEqual([...attempts].sort(), ['opened slack', 'opened webhook']);
  await update(resolveUpdate, 'ann', 'a fair sale');
  const end = await result();
  assert.equal(end.status, 'resolved');
  assert.deepEqual({ ...end.resolved, at: '' }, { by: 'ann', reason: 'a fair sale', at: '' });
  assert.deepEqual(told(end).sort(), ['opened slack delivered 1', 'opened webhook delivered 1', 'resolved slack delivered 1', 'resolved webhook delivered 1']);
  assert.equal(end.occurrences, 1, 'the signal of the start is the occurrence it started with');
  const { typedSearchAttributes } = await alert.describe();
  const attributes = Object.fromEntries([...typedSearchAttributes.getAll()].map(({ key, value }) => [key.name, value]));
  assert.deepEqual(attributes, { ...attributes, AlertType: 'bulk_orders', AlertSeverity: 'MEDIUM', AlertStatus: 'resolved', AlertEntity: message.entity });
  assert.equal(shown.at(-1)?.status, 'resolved');
});

test('a HIGH alert that nobody acknowledges goes to level 2 after five minutes and to level 3 after fifteen, in other words each time', async () => {
  script.plan = { quietSeconds: 1800 };
  const end = await (await open({ severity: 'HIGH' })).result();
  const webhook = end.notifications.filter(({ channel }) => channel === 'webhook');
  assert.deepEqual(webhook.map(({ kind }) => kind), ['opened', 'escalated', 'escalated', 'resolved']);
  const minutes = webhook.map(({ at }) => Math.round((Date.parse(at) - Date.parse(end.openedAt)) / 60_000));
  assert.deepEqual(minutes, [0, 5, 15, 30]);
  assert.equal(end.level, 3);
  assert.equal(end.resolved?.by, 'sluice');
  assert.match(end.resolved?.reason ?? '', /quiet for 30 min/);
  const texts = notices.map(({ text }) => text).filter((text) => text.includes('level'));
  assert.match(texts[0]!, /HIGH bulk_orders of e\d+, level 2: nobody has acknowledged it for 5 min/);
  assert.ok(texts.some((text) => /level 3: nobody has acknowledged it for 15 min/.test(text)));
  assert.equal(new Set(notices.map(({ id }) => id)).size, 4, 'each notice has an id of its own, the same on every channel');
});

test('levels that fall due at one moment are told each on its own channels, as what they are', async () => {
  script.plan = { quietSeconds: 1800, channels: { 1: [], 2: ['webhook'], 3: ['slack'] }, escalations: [2, 3].map((level) => ({ level: level as 2 | 3, afterSeconds: 300 })) };
  await (await open({ severity: 'HIGH' })).result();
  const escalated = notices.filter(({ kind }) => kind === 'escalated');
  assert.deepEqual(taken.filter((name) => name.startsWith('escalated')).sort(), ['escalated slack', 'escalated webhook']);
  assert.deepEqual(escalated.map(({ id, text, alert }) => `${id.slice(-1)} ${alert.level} ${/level \d/.exec(text)?.[0]}`).sort(), ['2 2 level 2', '3 3 level 3']);
});

test('MEDIUM and LOW do not escalate, and an acknowledged alert falls quiet too', async () => {
  script.plan = { quietSeconds: 86_400 };
  for (const severity of ['MEDIUM', 'LOW'] as const) {
    const { result } = await open({ severity });
    const end = await result();
    assert.equal(end.level, 1);
  }
  let acknowledge: () => Promise<unknown> = async () => undefined;
  script.before['opened webhook'] = [() => acknowledge().then(() => undefined)];
  const held = open({ severity: 'HIGH' });
  acknowledge = async () => (await held).update(acknowledgeUpdate, 'ann', 'on it');
  const end = await (await held).result();
  assert.deepEqual([end.level, end.acknowledged?.by, end.resolved?.by], [1, 'ann', 'sluice']);
});

test('an acknowledgement in the middle of an escalation stops it: what is not delivered yet is withdrawn', async () => {
  script.plan = { quietSeconds: 3600 };
  script.dead.slack = async ({ notice }) => {
    if (notice.kind === 'escalated') throw ApplicationFailure.create({ message: 'HTTP 503', type: 'channel_unavailable' });
  };
  let acknowledge: () => Promise<unknown> = async () => undefined;
  script.before['escalated slack'] = [() => acknowledge().then(() => undefined)];
  const held = open({ severity: 'HIGH' });
  acknowledge = async () => (await held).update(acknowledgeUpdate, 'ann', '');
  const end = await (await held).result();
  assert.deepEqual(end.notifications.filter(({ kind }) => kind === 'escalated').map(({ channel, result }) => `${channel} ${result}`).sort(), ['slack withdrawn', 'webhook delivered']);
  assert.equal(end.level, 2, 'level 3 never came');
  assert.equal(attempts.filter((name) => name === 'escalated slack').length, 1);
  assert.deepEqual(end.failing, {});
});

test('resolved while it is being told: the attempt in work counts, and only who was told is told of the end', async () => {
  let resolve: () => Promise<unknown> = async () => undefined;
  script.before['opened webhook'] = [() => resolve().then(() => undefined)];
  script.dead.slack = () => Promise.reject(ApplicationFailure.create({ message: 'HTTP 503', type: 'channel_unavailable' }));
  const held = open();
  resolve = async () => {
    await until('slack was tried', async () => attempts.includes('opened slack'));
    await (await held).update(resolveUpdate, 'ann', 'done');
  };
  const end = await (await held).result();
  assert.deepEqual(told(end).sort(), ['opened slack withdrawn 0', 'opened webhook delivered 1', 'resolved webhook delivered 1']);
});

test('a snooze is silent until its end, then the alert is told once more, and counts its escalation from there', async () => {
  script.plan = { quietSeconds: 4 * 3600 };
  let snooze: () => Promise<unknown> = async () => undefined;
  script.before['opened webhook'] = [() => snooze().then(() => undefined)];
  const held = open({ severity: 'HIGH' });
  snooze = async () => {
    await until('slack was told', async () => taken.includes('opened slack'));
    await (await held).update(snoozeUpdate, inAnHour(), 'ann');
  };
  const end = await (await held).result();
  const webhook = end.notifications.filter(({ channel }) => channel === 'webhook');
  assert.deepEqual(webhook.map(({ kind, result }) => `${kind} ${result}`), ['opened delivered', 'reminded delivered', 'escalated delivered', 'escalated delivered', 'resolved delivered']);
  const minutes = webhook.map(({ at }) => Math.round((Date.parse(at) - Date.parse(end.openedAt)) / 60_000));
  assert.deepEqual(minutes, [0, 60, 65, 75, 240]);
  assert.equal(notices.filter(({ kind, text }) => kind === 'reminded' && /snooze is over.*for (1 h|59 min)/.test(text)).length, 2);
});

test('an occurrence at the moment a snooze ends is counted and changes nothing else: told again exactly once', async () => {
  const { again, state, update, become, close } = await open({ type: 'low_stock' });
  await become('notified');
  const snoozed = update(snoozeUpdate, inAnHour(), 'ann');
  for (let n = 2; n <= 22; n += 1) await again(n); // the hour is skipped meanwhile
  await snoozed;
  await until('it was told again', async () => taken.filter((name) => name.startsWith('reminded')).length === 2);
  for (let n = 2; n <= 22; n += 1) await again(n);
  const now = await state();
  assert.equal(now.status, 'notified');
  assert.equal(now.snoozed, null);
  assert.equal(now.occurrences, 22);
  assert.deepEqual([...attempts].sort(), ['opened slack', 'opened webhook', 'reminded slack', 'reminded webhook']);
  await close();
});

test('occurrences are counted once each, however often they come, and are not told', async () => {
  const { message, again, state, update, result } = await open({ type: 'low_stock', severity: 'MEDIUM' }); // of a severity that does not escalate, however far time is skipped
  await until('both are told', async () => attempts.length === 2);
  for (const n of [2, 3, 3, 2, 4]) await again(n);
  await deliver(message);
  const now = await state();
  assert.deepEqual([now.occurrences, now.value], [4, '14']);
  assert.equal(now.lastAt, new Date(message.episode + 4000).toISOString());
  assert.equal(attempts.length, 2);
  await update(resolveUpdate, 'ann', '');
  await result();
  await assert.rejects(deliver(message), /already started/, 'a redelivered message does not open a closed alert again');
});

test('its source says that it is over: it is resolved, once, whatever its state was', async () => {
  const { alert, result, become, update } = await open({ type: 'low_stock' });
  await become('notified');
  await update(acknowledgeUpdate, 'ann', '');
  await Promise.all([alert.signal(overSignal), alert.signal(overSignal)]);
  const end = await result();
  assert.equal(end.resolved?.reason, 'its cause is over');
  assert.equal(taken.filter((name) => name.startsWith('resolved')).length, 2);
});

test('a dead channel is tried with growing pauses, holds up nobody, and the others are told of it', async () => {
  script.dead.slack = () => Promise.reject(ApplicationFailure.create({ message: 'slack did not take it: HTTP 500', type: 'channel_unavailable' }));
  script.plan = { quietSeconds: 3600 };
  const { result } = await open({ severity: 'HIGH' });
  const end = await result();
  const webhook = end.notifications.filter(({ channel }) => channel === 'webhook');
  assert.deepEqual(webhook.map(({ kind, attempts: count }) => `${kind} ${count}`), ['opened 1', 'channel-failed 1', 'escalated 1', 'escalated 1', 'resolved 1']);
  const slack = end.notifications.filter(({ channel }) => channel === 'slack');
  assert.ok(slack.every(({ kind, result: outcome, reason }) => kind !== 'resolved' && outcome === 'failed' && /HTTP 500/.test(reason)));
  assert.ok(slack[0]!.attempts >= 6, `${slack[0]!.attempts} attempts`);
  assert.match(end.failing.slack ?? '', /HTTP 500/);
  assert.match(notices.find(({ kind }) => kind === 'channel-failed')!.text, /ALERTS ARE NOT DELIVERED: slack does not take them \(.*HTTP 500\)/);
  const [opened, failed] = webhook;
  assert.ok(Date.parse(failed!.at) - Date.parse(opened!.at) >= 120_000);
});

test('a channel that refuses for good is not tried again; one that recovers is told, with the same id at every attempt', async () => {
  script.dead.slack = () => Promise.reject(ApplicationFailure.nonRetryable('slack refused it: HTTP 404', 'channel_refused'));
  const ids: string[] = [];
  script.before['opened webhook'] = failing(3).map((fail) => (delivery) => {
    ids.push(delivery.notice.id);
    return fail(delivery);
  });
  const { state, become, close } = await open();
  await become('notified');
  await until('webhook took everything', async () => (await state()).notifications.filter(({ channel, result }) => channel === 'webhook' && result === 'delivered').length === 2);
  assert.deepEqual(told(await state()).sort(), ['channel-failed webhook delivered 1', 'opened slack failed 1', 'opened webhook delivered 4']);
  assert.equal(new Set([...ids, notices.find(({ kind }) => kind === 'opened')!.id]).size, 1);
  await close();
});

test('when no channel takes it, the alert stays open and says so, and its escalation is told when they are back', async () => {
  script.plan = { deliverySeconds: 60, quietSeconds: 1200 };
  let isDead = true;
  for (const channel of ['webhook', 'slack'] as const) script.dead[channel] = () => (isDead ? Promise.reject(new Error('down')) : Promise.resolve());
  script.before['escalated webhook'] = [async () => void (isDead = false)];
  const { result } = await open({ severity: 'HIGH' });
  const end = await result();
  assert.deepEqual([...new Set(end.notifications.map(({ kind, result: outcome }) => `${kind} ${outcome}`))].filter((line) => !line.startsWith('channel')), ['opened failed', 'escalated delivered', 'resolved delivered']);
  assert.deepEqual(end.failing, {});
});

test('in a storm one alert leads, the others are grouped; a leader that is acknowledged meanwhile tells all the same', async () => {
  const group = 'alert/bulk_orders/lead/1/opened';
  script.admit = async () => ({ how: 'member', group });
  const member = await open();
  await member.become('notified');
  assert.deepEqual(told(await member.state()), ['opened - grouped 0']);
  let acknowledge: () => Promise<unknown> = async () => undefined;
  script.admit = async ({ id }) => {
    await acknowledge();
    return { how: 'lead', group: id };
  };
  const held = open();
  acknowledge = async () => (await held).update(acknowledgeUpdate, 'ann', '');
  const leader = await held;
  await until('the storm was told', async () => taken.length === 2);
  assert.deepEqual([...taken].sort(), ['storm slack', 'storm webhook']);
  assert.equal((await leader.state()).status, 'acknowledged');
  for (const one of [member, leader]) {
    await one.close();
  }
  assert.equal(taken.length, 2, 'who was told of a storm is not told of the end of each alert in it');
});

test('while storms cannot be recognised an alert is told alone', async () => {
  script.admit = () => Promise.reject(new Error('Redis is away'));
  const { become, state, close } = await open();
  await become('notified');
  assert.match((await state()).note, /storms are not grouped/);
  await close();
});

test('an alert goes on while Redis is away, and is over only when Redis shows it', async () => {
  let isAway = true;
  script.project = () => (isAway ? Promise.reject(new Error('Redis is away')) : Promise.resolve());
  const { become, update, alert, result } = await open();
  await become('notified');
  await update(resolveUpdate, 'ann', '');
  await until('everyone is told', async () => taken.filter((name) => name.startsWith('resolved')).length === 2);
  assert.equal((await alert.describe()).status.name, 'RUNNING');
  isAway = false;
  await result();
  assert.equal(shown.at(-1)?.status, 'resolved');
});

test('updates are refused with a reason: of a closed alert, without a name, with a time that is over', async () => {
  const { become, update, close } = await open();
  await become('notified');
  const refused: [name: string, args: [string, ...string[]], why: RegExp][] = [
    [acknowledgeUpdate, [' '], /by must be text/],
    [acknowledgeUpdate, ['ann', 'x'.repeat(1001)], /note must be text/],
    [resolveUpdate, [''], /by must be text/],
    [snoozeUpdate, ['tomorrow'], /until must be a UTC time/],
    [snoozeUpdate, ['2020-01-01T00:00:00Z'], /is over already/],
    [snoozeUpdate, ['2099-01-01T00:00:00Z'], /at most 30 days/],
  ];
  for (const [name, args, why] of refused) {
    await assert.rejects(update(name, ...args), (error: unknown) => error instanceof WorkflowUpdateFailedError && why.test(error.cause?.message ?? ''), `${name} ${args.join()}`);
  }
  await close();
});
