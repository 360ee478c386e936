/**
 * Goal: each anomaly that is written to the source becomes one alert message, whoever dies meanwhile; a snapshot becomes none.
 * Method: a real stack without a generator and with a short lateness, over a PostgreSQL that has a history; `sluice generate --anomaly`, then the
 * topic of alerts is read.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readTopic } from '../../src/adapters/kafka-reader.ts';
import { loadSettings, requireSecret, secretNames } from '../../src/config.ts';
import { alertsTopic } from '../../src/domain/topics.ts';
import { processOf } from '../faults.ts';
import { startPostgres, type TestPostgres } from '../postgres.ts';
import { startStack, until, type TestStack } from '../stack.ts';

/** 23 days of orders, every fifth above the threshold; an hour ago a burst of everything that has a rule; one product that is nearly sold out. */
const history = [
  `INSERT INTO orders (customer_id, order_date, total_amount)
   SELECT 1 + n % 5, timezone('UTC', now()) - n * interval '20 s', CASE n % 5 WHEN 0 THEN 5000 ELSE 20 END FROM generate_series(1, 100000) n`,
  `INSERT INTO orders (customer_id, order_date, total_amount) SELECT 1, timezone('UTC', now()) - interval '1 hour', 20 FROM generate_series(1, 50)`,
  `INSERT INTO order_items (product_id, quantity, unit_price, created_at) SELECT 1, 30, 1, timezone('UTC', now()) - interval '1 hour' FROM generate_series(1, 5)`,
  `INSERT INTO customers (first_name, last_name, email, state, created_at)
   SELECT 'A', 'B', n || '@history.example', 'NY', date_trunc('minute', timezone('UTC', now()) - interval '1 hour') FROM generate_series(1, 20) n`,
  'UPDATE products SET stock_quantity = 5 WHERE id = 2',
];

let postgres: TestPostgres;
let stack: TestStack;
before(async () => {
  postgres = await startPostgres();
  const source = loadSettings(postgres.environment);
  const { owner } = await postgres.openShop();
  const [{ name } = { name: '' }] = await owner.query<{ name: string }>('SELECT current_database() AS name');
  for (const text of history) await owner.query(text);
  stack = await startStack({
    ...Object.fromEntries(secretNames.map((name) => [name, requireSecret(source, name).reveal()])),
    POSTGRES_HOST: '127.0.0.1',
    POSTGRES_PORT: String(source.POSTGRES_PORT),
    POSTGRES_DB: name,
    SLUICE_GENERATOR: 'off',
    STREAM_ALLOWED_LATENESS_MS: '1000',
  });
});
after(async () => {
  await stack.stop();
  await postgres.stop();
});

interface Message {
  alertId: string;
  type: string;
  entity: string;
  value: string;
  at: number;
  origin: string;
  resolved?: true;
}

async function messages(): Promise<Message[]> {
  const found: Message[] = [];
  await readTopic({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' }, {
    topic: alertsTopic,
    each: async (records) => void found.push(...records.map(({ value }) => JSON.parse(value!.toString()) as Message)),
  });
  return found.toSorted((a, b) => a.at - b.at || a.alertId.localeCompare(b.alertId)); // the topic has partitions
}

async function generate(anomaly: string): Promise<string> {
  const { code, stdout, stderr } = await stack.sluice('generate', '--orders', '0', '--anomaly', anomaly, '--json');
  assert.equal(code, 0, stdout + stderr);
  return (JSON.parse(stdout) as { entity: string }).entity;
}

const alertOf = (type: string, entity: string, deadlineMs = 30_000): Promise<Message[]> =>
  until(`an alert of ${type} about ${entity}`, async () => {
    const found = (await messages()).filter((one) => one.type === type && one.entity === entity);
    return found.length > 0 && found;
  }, deadlineMs, 500);

const readBySnapshot = async (): Promise<number> => Number((await stack.redis.hash(stack.keys.of('stream:stats:orders')))['r'] ?? 0);

test('a first snapshot of 100,000 orders raises nothing, whatever they would have crossed', async () => {
  await until('the stream has read them', async () => (await readBySnapshot()) > 100_000, 120_000);
  const { code, stdout } = await stack.sluice('verify', '--stream');
  assert.equal(code, 0, stdout);
  await delay(2000); // many looks of the watcher
  assert.deepEqual(await messages(), []);
});

test('an alert for each order above the threshold; read again by a snapshot, none', async () => {
  const rows = await stack.db.query<{ id: string }>('INSERT INTO orders (customer_id, total_amount) SELECT 1 + n % 5, 5000 FROM generate_series(1, 8) n RETURNING id::text');
  for (const { id } of rows) await alertOf('high_value_order', id);
  const before = await messages();
  assert.deepEqual(before.map(({ entity }) => entity).sort((a, b) => a.localeCompare(b)), rows.map(({ id }) => id).sort((a, b) => a.localeCompare(b)));
  const readBefore = await readBySnapshot();
  await stack.db.query(`INSERT INTO cdc.signal (id, type, data) VALUES ('stream-${Date.now()}', 'execute-snapshot', '{"data-collections": ["public.orders"], "type": "incremental"}')`);
  await until('the orders are read again', async () => (await readBySnapshot()) > readBefore + 100_000, 120_000);
  await delay(2000); // many looks of the watcher
  assert.deepEqual(await messages(), before);
});

for (const [anomaly, type] of [['bulk', 'bulk_orders'], ['depletion', 'rapid_stock_depletion'], ['low-stock', 'low_stock']] as const) {
  test(`${anomaly}: one alert`, async () => {
    const entity = await generate(anomaly);
    const found = await alertOf(type, entity);
    assert.equal(new Set(found.map(({ alertId }) => alertId)).size, 1);
    assert.match(found[0]!.alertId, new RegExp(`^${entity}/\\d+$`));
  });
}

test('a restock says that the alert is over', async () => {
  const low = (await messages()).find(({ type }) => type === 'low_stock')!;
  await stack.db.query('UPDATE products SET stock_quantity = 100 WHERE id = $1', [Number(low.entity)]);
  await until('it is said', async () => (await messages()).some(({ alertId, resolved }) => resolved && alertId === low.alertId), 30_000, 500);
});

test('geo: within seconds of the minute being closed', async () => {
  const entity = await generate('geo');
  const [found] = await alertOf('geographic_anomaly', entity, 90_000);
  assert.match(found!.value, /of \d+ new customers/);
});

test('a consumer that dies before or after publishing costs no alert and makes none twice', async () => {
  for (const point of ['stream.found', 'stream.published']) {
    const { pid } = await processOf(stack, 'stream-consumer');
    stack.arm(point, 'kill');
    const entity = await generate('high-value');
    await until(`${point} is passed`, async () => !stack.isArmed(point));
    await until('it is back', async () => (await processOf(stack, 'stream-consumer')).pid !== pid);
    const found = await alertOf('high_value_order', entity, 60_000);
    assert.equal(new Set(found.map(({ alertId }) => alertId)).size, 1, point);
  }
});

test('restocked and low again in one batch, and a consumer that dies before it has taken both off its list: the second alert stays open', async () => {
  const entity = await generate('low-stock');
  const [first] = await alertOf('low_stock', entity);
  const { pid } = await processOf(stack, 'stream-consumer');
  process.kill(pid, 'SIGSTOP');
  for (const stock of [100, 5]) await stack.db.query('UPDATE products SET stock_quantity = $1 WHERE id = $2', [stock, Number(entity)]);
  await until('the changes are in Kafka', async () => (JSON.parse((await stack.redis.strings([stack.keys.row('product', entity)]))[0]!) as { stock_quantity: number }).stock_quantity === 5);
  stack.arm('stream.remembered', 'kill');
  process.kill(pid, 'SIGCONT');
  await until('stream.remembered is passed', async () => !stack.isArmed('stream.remembered'));
  await until('it is back, and its list is empty', async () => (await processOf(stack, 'stream-consumer')).pid !== pid && Object.keys(await stack.redis.hash(stack.keys.of('stream:outbox'))).length === 0);
  const about = (await messages()).filter(({ alertId }) => alertId.startsWith(`${entity}/`));
  const ids = [...new Set(about.map(({ alertId }) => alertId))];
  const over = new Set(about.filter(({ resolved }) => resolved).map(({ alertId }) => alertId));
  assert.ok(over.has(first!.alertId), 'the first one is over');
  assert.equal(ids.filter((id) => !over.has(id)).length, 1, 'the one that it is low again is not');
});
