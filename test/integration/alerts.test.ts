/**
 * Goal: a batch of `realtime-alerts` ends with people who were told and Redis that shows it, whatever is repeated or away meanwhile.
 * Method: the consumer's batch handling, real Temporal, real Redis as the consumers' user, the real activities and an HTTP server; only Kafka is played.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createAlertActivities, type AlertDeps } from '../../src/activities/alerts.ts';
import { translateFailures } from '../../src/activities/failure.ts';
import type { TemporalClient } from '../../src/adapters/temporal.ts';
import { connectTemporal } from '../../src/adapters/temporal.ts';
import { createSlack, createWebhook } from '../../src/adapters/webhook.ts';
import { createAlertSweepActivities } from '../../src/activities/alert-sweep.ts';
import { createAcceptAlerts, type AcceptDeps } from '../../src/consumers/alerts/accept-alerts.ts';
import { alertWorkflowId } from '../../src/domain/alert.ts';
import type { AlertMessage } from '../../src/domain/alert-message.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { Secret } from '../../src/domain/secret.ts';
import { acknowledgeUpdate, alertStateQuery, resolveUpdate, type AlertState } from '../../src/workflows/alert-contract.ts';
import { anAlert } from '../alert-fakes.ts';
import { startReceiver } from '../alert-receiver.ts';
import { startRedis, type TestRedis } from '../redis.ts';
import { until } from '../stack.ts';
import { startTemporal, type TestTemporal } from '../temporal.ts';

let redis: TestRedis;
let server: TestTemporal;
let temporal: TemporalClient;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
const keys = createKeys('');
const letters: string[] = [];

before(async () => {
  [redis, receiver] = await Promise.all([startRedis(), startReceiver()]);
  const options = { url: new Secret(`${receiver.origin}/s3cret`), timeoutMs: 10_000 };
  const deps: AlertDeps = {
    ...{ redis: redis.store, keys, quietSeconds: 3600, deliverySeconds: 60, stormMost: 3, escalateSeconds: [{ level: 2 as const, afterSeconds: 300 }] },
    senders: { webhook: createWebhook({ ...options, secret: new Secret('s3cret-key') }), slack: createSlack(options) },
    routes: { routes: [{ types: ['geographic_anomaly'], channels: [] }], default: ['webhook'] },
  };
  server = await startTemporal(translateFailures(createAlertActivities(deps)));
  temporal = await connectTemporal({ address: server.address, namespace: 'default' });
});
beforeEach(() => {
  receiver.reset();
  letters.length = 0;
});
after(async () => {
  await temporal.close();
  await server.stop();
  await Promise.all([redis.stop(), receiver.stop()]);
});

const log: AcceptDeps['log'] = { info: () => undefined, warn: () => undefined };
function acceptWith(given: Partial<AcceptDeps> = {}) {
  const deadLetters: AcceptDeps['deadLetters'] = async (_ref, rejected) => void letters.push(...rejected.map(({ rejected: { reason, offset } }) => `${offset} ${reason}`));
  const accept = createAcceptAlerts({ temporal, deadLetters, ageMsMax: 3_600_000, log, failpoint: () => undefined, signal: new AbortController().signal, ...given });
  return (...values: (object | string)[]) =>
    accept({
      ...{ topic: 'realtime-alerts', partition: 0 },
      records: values.map((value, at) => ({
        ...{ offset: BigInt(at), timestampMs: '0', key: Buffer.from(typeof value === 'string' ? 'key' : (value as AlertMessage).alertId) },
        value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
      })),
    });
}
const accept = (...values: (object | string)[]) => acceptWith()(...values);

/** One of now, so that it is not too old; `n` is its origin's offset. */
const episode = Date.now() - 60_000;
const fresh = (entity: string, n = 1, given: Partial<AlertMessage> = {}) => anAlert({ type: 'high_value_order', entity, episode, ...given }, n);
const idOf = (message: AlertMessage) => alertWorkflowId(message);
const stateOf = (message: AlertMessage) => temporal.queryWorkflow<AlertState>(idOf(message), alertStateQuery);
const kinds = (): string[] => receiver.received.map(({ body }) => (JSON.parse(body) as { type: string }).type.split('.').at(-1)!);
const isTold = (message: AlertMessage) => until('it is told', async () => (await stateOf(message))?.status === 'notified');

test('a batch, and the same batch again: one workflow each, one request each, every occurrence once; Redis shows it until its end', async () => {
  const batch = [fresh('a'), fresh('b'), fresh('a', 2), fresh('a', 3)];
  assert.equal(await accept(...batch), true);
  await Promise.all([isTold(fresh('a')), isTold(fresh('b'))]);
  assert.equal(await accept(...batch), true);
  await until('Redis shows the count and the state', async () => {
    const { occurrences, status } = await redis.store.hash(keys.alert('high_value_order', fresh('a').alertId));
    return occurrences === '3' && status === 'notified';
  });
  assert.deepEqual(kinds(), ['opened', 'opened']);
  const shown = await redis.store.hash(keys.alert('high_value_order', fresh('a').alertId));
  assert.deepEqual({ ...shown, opened_at: '' }, { type: 'high_value_order', severity: 'MEDIUM', entity: 'a', value: '13', threshold: '10', window: '60 s', status: 'notified', workflow_id: idOf(fresh('a')), occurrences: '3', opened_at: '' });
  const [open] = await redis.store.sortedSets([keys.alertsOpen]);
  assert.ok(open!.includes(`high_value_order:${fresh('a').alertId}`));

  const end = await temporal.updateWorkflow<AlertState>(idOf(fresh('a')), resolveUpdate, ['ann', 'fine']);
  assert.equal(end?.status, 'resolved');
  await temporal.awaitResult(idOf(fresh('a')));
  const [left] = await redis.store.sortedSets([keys.alertsOpen]);
  assert.deepEqual(left!.filter((_, at) => at % 2 === 0), [`high_value_order:${fresh('b').alertId}`]);
  assert.equal((await redis.store.hash(keys.alert('high_value_order', fresh('a').alertId)))['status'], 'resolved');
  receiver.reset();
  assert.equal(await accept(fresh('a', 4)), true, 'an alert that is over counts as accepted');
  assert.equal(await temporal.updateWorkflow(idOf(fresh('a')), acknowledgeUpdate, ['ann', '']), null);
  assert.deepEqual(kinds(), []);
});

test('500, then 200: told at the second attempt under the same id and signature, and the state says so; no secret is in the history', async () => {
  receiver.answers.push(500);
  await accept(fresh('retried'));
  await isTold(fresh('retried'));
  assert.equal(receiver.received.length, 2);
  const [first, second] = receiver.received;
  for (const name of ['idempotency-key', 'x-sluice-signature']) assert.equal(first!.headers[name], second!.headers[name]);
  const state = await stateOf(fresh('retried'));
  assert.deepEqual(state?.notifications.map(({ result, attempts }) => [result, attempts]), [['delivered', 2]]);
  const history = await server.client.workflow.getHandle(idOf(fresh('retried'))).fetchHistory();
  assert.doesNotMatch(JSON.stringify(history), /s3cret/);
  assert.doesNotMatch(JSON.stringify(history), new RegExp(Buffer.from('s3cret').toString('base64').slice(0, 7)));
});

test('a refusal for good is said of the channel in one attempt, and the other channel is told', async () => {
  const [refused, refusedToo] = [fresh('refused', 1, { type: 'order_rate' }), fresh('refused-too', 1, { type: 'order_rate' })];
  receiver.answers.push(404);
  await accept(refused);
  await until('slack was told', async () => receiver.received.length === 2);
  const state = await stateOf(refused);
  assert.match(state?.failing.webhook ?? '', /webhook refused it: HTTP 404/);
  assert.match(receiver.received[1]!.body, /ALERTS ARE NOT DELIVERED: webhook/);
  receiver.answers.push(404);
  await accept(refusedToo);
  await until('it has failed', async () => (await stateOf(refusedToo))?.failing.webhook !== undefined);
  assert.equal(receiver.received.length, 3, 'the other channel is told once for many alerts');
});

test('malformed records are dead letters, old ones start nothing, the word that it is over ends it and nothing else', async () => {
  const old = fresh('old', 1, { episode: Date.now() - 7_200_000, at: Date.now() - 7_200_000 });
  const low = fresh('low', 1, { type: 'low_stock' });
  assert.equal(await accept('{', old, { ...fresh('x'), severity: 'NONE' }, low, { alertId: fresh('never').alertId, type: 'low_stock', resolved: true }), true);
  assert.deepEqual(letters, ['0 malformed_json', '2 malformed_alert']);
  assert.equal(await temporal.describeWorkflow(idOf(old)), null);
  assert.equal(await temporal.describeWorkflow(idOf({ ...fresh('never'), type: 'low_stock' })), null);
  await isTold(low);
  await accept({ alertId: low.alertId, type: 'low_stock', resolved: true });
  const end = await temporal.awaitResult<AlertState>(idOf(low));
  assert.equal(end?.resolved?.reason, 'its cause is over');
});

test('while Temporal is away nothing is accepted; when the process must drain, the batch is left to be read again', async () => {
  const stop = new AbortController();
  let asked = 0;
  const signalWithStart = async (): Promise<boolean> => {
    asked += 1;
    throw new PipelineError('temporal_unavailable', 'away');
  };
  const accepting = acceptWith({ temporal: { signalWithStart, signalWorkflow: temporal.signalWorkflow }, signal: stop.signal })(fresh('waiting'));
  await until('it was tried again', async () => asked >= 2);
  stop.abort();
  assert.equal(await accepting, false);
  assert.equal(await temporal.describeWorkflow(idOf(fresh('waiting'))), null);
});

test('of twenty alerts at once three are told alone and one tells for the rest', async () => {
  const storm = Array.from({ length: 20 }, (_, n) => fresh(`storm-${n}`, 1, { type: 'bulk_orders' }));
  await accept(...storm);
  await Promise.all(storm.map(isTold));
  assert.deepEqual(kinds().sort(), ['opened', 'opened', 'opened', 'storm']);
  const states = await Promise.all(storm.map(stateOf));
  assert.equal(states.filter((state) => state?.notifications[0]?.result === 'grouped').length, 16);
});

test('an alert for which no channel is routed stays open and says why, in a storm too', async () => {
  const muted = Array.from({ length: 6 }, (_, n) => fresh(`muted-${n}`, 1, { type: 'geographic_anomaly' }));
  await accept(...muted);
  const statesOf = () => Promise.all(muted.map(stateOf));
  await until('they say so', async () => (await statesOf()).every((state) => (state?.notifications.length ?? 0) > 0));
  for (const state of await statesOf()) assert.deepEqual([state?.status, state?.notifications[0]?.reason], ['open', 'no channel is told of such alerts']);
  assert.deepEqual(kinds(), []);
});

test('an alert whose workflow was terminated is taken off the list of open ones, no other is', async () => {
  const [terminated, alive] = [fresh('terminated'), fresh('alive')];
  await accept(terminated, alive);
  await Promise.all([isTold(terminated), isTold(alive)]);
  const open = async (): Promise<string[]> => (await redis.store.sortedSets([keys.alertsOpen]))[0]!;
  const memberOf = (message: AlertMessage): string => `high_value_order:${message.alertId}`;
  await until('Redis shows both', async () => {
    const members = await open();
    return members.includes(memberOf(terminated)) && members.includes(memberOf(alive));
  });
  await server.client.workflow.getHandle(idOf(terminated)).terminate('by hand');
  const { closeLostAlerts } = createAlertSweepActivities({ redis: redis.store, keys, temporal });
  assert.deepEqual(await closeLostAlerts(), { closed: 1 });
  assert.deepEqual([(await open()).includes(memberOf(terminated)), (await open()).includes(memberOf(alive))], [false, true]);
  assert.equal((await redis.store.hash(keys.alert('high_value_order', terminated.alertId)))['status'], 'resolved');
  assert.deepEqual(await closeLostAlerts(), { closed: 0 });
});

test('an update that the workflow refuses is told in its own words', async () => {
  const refusing = fresh('refusing', 1, { type: 'rapid_stock_depletion' });
  await accept(refusing);
  await isTold(refusing);
  await assert.rejects(temporal.updateWorkflow(idOf(refusing), acknowledgeUpdate, ['', '']), (error: unknown) => error instanceof PipelineError && error.code === 'bad_argument' && /by must be text/.test(error.message));
  assert.equal(await temporal.updateWorkflow('alert/bulk_orders/nobody/1', acknowledgeUpdate, ['ann', '']), null);
  await until('the list shows it as notified', async () => (await temporal.listOpen('alertLifecycle')).some(({ id, attributes }) => id === idOf(refusing) && attributes['AlertStatus'] === 'notified'));
});
