/**
 * Goal: what stands in `realtime-alerts` reaches a webhook, Redis and the command line on the real stack, a killed consumer included.
 * Method: a stack of its own whose webhook is an HTTP server here; messages are written as the stream processor writes them.
 */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createKafkaProducer, type KafkaProducer } from '../../src/adapters/kafka-producer.ts';
import { alertWorkflowId } from '../../src/domain/alert.ts';
import type { AlertMessage } from '../../src/domain/alert-message.ts';
import { alertsTopic, deadLetterTopic, groups } from '../../src/domain/topics.ts';
import type { AlertState } from '../../src/workflows/alert-contract.ts';
import { anAlert } from '../alert-fakes.ts';
import { startReceiver } from '../alert-receiver.ts';
import { processOf } from '../faults.ts';
import { startStack, until, type TestStack } from '../stack.ts';

let stack: TestStack;
let producer: KafkaProducer;
let receiver: Awaited<ReturnType<typeof startReceiver>>;

before(async () => {
  receiver = await startReceiver();
  stack = await startStack({ ALERT_WEBHOOK_URL: `${receiver.origin}/hook`, ALERT_WEBHOOK_SECRET: 'of-this-test', SLUICE_GENERATOR: 'off' });
  producer = createKafkaProducer({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' });
});
after(async () => {
  await producer.close();
  await stack.stop();
  await receiver.stop();
});

const episode = Date.now() - 10_000;
const fresh = (entity: string, n = 1, given: Partial<AlertMessage> = {}) => anAlert({ type: 'rapid_stock_depletion', entity, episode, ...given }, n);
const nameOf = (message: AlertMessage): string => alertWorkflowId(message).replace('alert/', '');
const send = (key: string, value: object | string) =>
  producer.send(alertsTopic, [{ key: Buffer.from(key), value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), headers: {} }]);
const raise = (message: AlertMessage) => send(message.alertId, message);
const shown = (message: AlertMessage) => stack.redis.hash(stack.keys.alert(message.type, message.alertId));
const becomes = (message: AlertMessage, status: string) => until(`it is ${status}`, async () => (await shown(message))['status'] === status);
const say = async (...args: string[]): Promise<AlertState> => {
  const { code, stdout, stderr } = await stack.sluice('alerts', ...args, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as AlertState;
};

test('an alert travels from the topic to a signed request and to Redis, and is told once although it is sent twice', async () => {
  await raise(fresh('7'));
  await raise(fresh('7'));
  await raise(fresh('7', 2));
  await becomes(fresh('7'), 'notified');
  await until('both are counted', async () => (await shown(fresh('7')))['occurrences'] === '2');
  assert.equal(receiver.received.length, 1);
  const [{ headers, body }] = receiver.received as [(typeof receiver.received)[number]];
  assert.equal(headers['x-sluice-signature'], `sha256=${createHmac('sha256', 'of-this-test').update(body).digest('hex')}`);
});

test('the command line lists, shows, acknowledges, snoozes and resolves it, and names what it cannot find', async () => {
  const name = nameOf(fresh('7'));
  const listed = (await say('ls')) as unknown as { alerts: { alert: string; status: string }[] };
  assert.ok(listed.alerts.some(({ alert }) => alert === name));
  assert.match((await stack.sluice('alerts', 'ls', '--type', 'rapid_stock_depletion')).stdout, new RegExp(`${name}.*notified`));
  assert.equal((await say('ack', name, '--by', 'ann', '--note', 'on it')).acknowledged?.by, 'ann');
  await becomes(fresh('7'), 'acknowledged');
  assert.equal((await say('snooze', name, '--for', '2h')).status, 'snoozed');
  assert.match((await stack.sluice('alerts', 'show', name)).stdout, /snoozed +until .*\n(.*\n)*told .*opened to webhook: delivered/);
  assert.equal((await stack.sluice('alerts', 'resolve', name, '--reason', 'restocked')).stdout, `${name} is resolved.\n`);
  assert.equal((await say('show', name)).resolved?.reason, 'restocked');
  await becomes(fresh('7'), 'resolved');
  await until('the end is told', async () => receiver.received.length === 2);
  const isListed = async (): Promise<boolean> => ((await say('ls')) as unknown as typeof listed).alerts.some(({ alert }) => alert === name);
  await until('its workflow is over', async () => !(await isListed()));
  const failures: [args: string[], code: number, why: RegExp][] = [
    [['ack', name], 1, /is over \(completed\)/],
    [['show', 'low_stock/nobody/1'], 1, /There is no alert low_stock\/nobody\/1/],
    [['ack', 'low_stock/nobody/1'], 1, /There is no alert/],
    [['show', '7'], 2, /7 is no alert: give <type>\/<entity>\/<episode>/],
    [['snooze', name], 2, /give either --for or --until/],
    [['ls', '--type', 'nothing'], 2, /Allowed choices/],
  ];
  for (const [args, code, why] of failures) {
    const outcome = await stack.sluice('alerts', ...args);
    assert.equal(outcome.code, code, args.join(' '));
    assert.match(outcome.stderr, why);
  }
});

test('what is malformed is a dead letter and holds up nothing', async () => {
  const letters = async (): Promise<bigint> => (await stack.kafka.offsets(deadLetterTopic(groups.alerts)))[0]!.high;
  const before = await letters();
  await send(fresh('8').alertId, '{');
  await raise(fresh('8'));
  await becomes(fresh('8'), 'notified');
  await until('the letter is there', async () => (await letters()) > before);
  const listed = await stack.sluice('dlq', 'ls', '--reason', 'malformed_json', '--json');
  const [letter] = (JSON.parse(listed.stdout) as { letters: { origin: string; topic: string }[] }).letters;
  assert.equal(letter?.topic, alertsTopic);
  assert.match((await stack.sluice('dlq', 'show', letter.origin)).stdout, /^value {2}\{$/m);
});

test('a consumer that is killed goes on where it was; every alert is told once', async () => {
  const told = receiver.received.length;
  const { pid } = await processOf(stack, 'alerts-consumer');
  const messages = Array.from({ length: 8 }, (_, n) => fresh(`killed-${n}`, 1, { type: 'bulk_orders' }));
  for (const message of messages.slice(0, 4)) await raise(message);
  process.kill(pid, 'SIGKILL');
  for (const message of messages.slice(4)) await raise(message);
  await Promise.all(messages.map((message) => becomes(message, 'notified')));
  assert.equal(receiver.received.length - told, 8);
  const committed = async (): Promise<boolean> => {
    const [ends, done] = [await stack.kafka.offsets(alertsTopic), await stack.kafka.committed(groups.alerts, alertsTopic)];
    return ends.every(({ partition, high }) => high === 0n || done.get(partition) === high);
  };
  await until('everything is committed', committed);
});
