/**
 * Goal: whatever dies or is away on the way from a change to a notice, every alert that SQL over the source expects has exactly one
 * workflow, and each channel has taken exactly its notices; attempts may be more.
 * Method: bursts of anomalies beside the generator's load while a part is gone; short timers of escalation, no grouping of storms.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../src/adapters/postgres.ts';
import { ruleLimits } from '../../src/domain/rules/limits.ts';
import { plannedAnomalies } from '../../src/generator/anomaly.ts';
import { writeAnomaly } from '../../src/generator/write-orders.ts';
import { assertAlertsExact, expectedAlerts, keepJournal, type Channel } from '../alert-journal.ts';
import { startReceiver } from '../alert-receiver.ts';
import { assertRecovered, landed, processOf, seededChoices, takeAway } from '../faults.ts';
import { startStack, until, type TestStack } from '../stack.ts';

const choices = seededChoices('alert-path');
const kinds = plannedAnomalies.filter((kind) => kind !== 'geo'); // is judged by the minute: test/integration/anomalies.test.ts
let stack: TestStack;
let writer: Database;
type Receiver = Awaited<ReturnType<typeof startReceiver>>;
/** A receiver that is replaced by another one on its port keeps what it got. */
const webhooks: Receiver[] = [];
let slack: Receiver;
const channels: Channel[] = [
  { name: 'webhook', received: () => webhooks.flatMap(({ received }) => received) },
  { name: 'slack', received: () => slack.received },
];

before(async () => {
  webhooks.push(await startReceiver());
  slack = await startReceiver();
  stack = await startStack({
    ALERT_WEBHOOK_URL: `${webhooks[0]!.origin}/hook`,
    ALERT_WEBHOOK_SECRET: 'of-this-test',
    ALERT_SLACK_URL: `${slack.origin}/slack`,
    ALERT_STORM_MOST: '1000000',
    ALERT_ESCALATE_L2_SECONDS: '5',
    ALERT_ESCALATE_L3_SECONDS: '10',
    SLUICE_GENERATOR: 'off', // until there is a journal
    GEO_CUSTOMERS_MIN: '1000000',
    MOCK_DATA_INTERVAL_SECONDS: '1',
    MOCK_DATA_RECORDS_PER_BATCH: '4',
  });
  writer = stack.connectAs('sluice_writer', 'SLUICE_WRITER_PASSWORD');
  await keepJournal(stack);
  stack.startProcess('generator');
});
after(async () => {
  await writer.close();
  await stack.stop();
  await Promise.all([...webhooks, slack].map((receiver) => receiver.stop()));
});

/** Anomalies of every kind, `rounds` times, some of them again about the same customer or product. */
async function burst(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) await writeAnomaly({ db: writer, seed: choices.between(0, 1_000_000), signal: new AbortController().signal, now: () => new Date() }, kind, ruleLimits(stack.settings));
    await delay(choices.between(0, 1000));
  }
}

async function assertExact(t: TestContext): Promise<void> {
  t.diagnostic(await assertAlertsExact(stack, channels));
}

test('Temporal is away for a minute during a burst', async (t) => {
  await takeAway(t, stack, { server: 'temporal', way: choices.pick(['stop', 'kill']), awayMs: 60_000, meanwhile: () => burst(4) });
  await assertExact(t);
});

for (const [point, name, where] of [
  ['stream.commit', 'stream-consumer', 'before it applies'],
  ['stream.found', 'stream-consumer', 'between apply and publish'],
  ['stream.published', 'stream-consumer', 'between publish and acknowledge'],
  ['stream.remembered', 'stream-consumer', 'between what it remembers of an alert and what it takes off its list'],
  ['alerts.accepted', 'alerts-consumer', "between Temporal's acceptance and the commit of its offset"],
] as const) {
  test(`the ${name} is killed ${where}`, async (t) => {
    const { pid } = await processOf(stack, name);
    stack.arm(point, 'kill');
    await burst(2);
    await until(`${point} is passed`, async () => !stack.isArmed(point));
    await until('another one runs', async () => {
      const { pid: now, state } = await processOf(stack, name);
      return now !== pid && state === 'running';
    });
    landed(t, `the ${name} killed ${where}`);
    await burst(1);
    await assertExact(t);
  });
}

test('Kafka is restarted during a burst', async (t) => {
  await takeAway(t, stack, { server: 'kafka', way: choices.pick(['stop', 'kill']), awayMs: 1000 * choices.between(3, 15), meanwhile: () => burst(2) });
  await burst(1);
  await assertExact(t);
});

test('the webhook refuses connections, then answers 500, then is back; Slack waits for nothing', async (t) => {
  const { origin } = webhooks[0]!;
  const port = Number(new URL(origin).port);
  await webhooks[0]!.stop();
  const sinceMs = Date.now();
  await burst(2);
  const fresh = (await expectedAlerts(stack)).filter(({ fromMs, over }) => fromMs >= sinceMs && !over);
  const told = (name: string, { type, entity }: { type: string; entity: string }): boolean =>
    channels.find((channel) => channel.name === name)!.received().some(({ headers }) => decodeURI(String(headers['idempotency-key'])).startsWith(`alert/${type}/${entity}/`));
  assert.ok(fresh.some(({ type }) => type === 'high_value_order'));
  await until('Slack is told of all of them', async () => fresh.every((alert) => told('slack', alert)));
  const orders = fresh.filter(({ type }) => type === 'high_value_order');
  assert.ok(orders.every((alert) => !told('webhook', alert)), 'the webhook of none');
  await until('it has refused for ten seconds', async () => Date.now() - sinceMs > 10_000);
  const failing = await startReceiver(port, 500);
  webhooks.push(failing);
  await until('it has answered 500', async () => failing.received.length > 0);
  await failing.stop();
  webhooks.push(await startReceiver(port));
  landed(t, `the webhook refused for ${Date.now() - sinceMs} ms, then answered 500 ${failing.received.length} times; ${fresh.length} alerts told to Slack meanwhile`);
  await assertExact(t);
});

test('in the end everything is healthy, and no alert and no notice has come late', async (t) => {
  await assertExact(t);
  await assertRecovered(stack);
  landed(t, await assertAlertsExact(stack, channels, 20_000));
});
