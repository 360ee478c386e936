/**
 * Goal: dead letters are listed, replayed and discarded on the real stack without ever putting a row back behind what was applied.
 * Method: malformed records are written straight into a change topic. A letter that can pass later is made by a counter that
 * stands at the edge of int64, under a status that nothing else uses; taking the counter away is the mending.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { createKafkaProducer, type KafkaProducer } from '../../src/adapters/kafka-producer.ts';
import { requireSecret } from '../../src/config.ts';
import { Ledger, type DeadLetter } from '../../src/dlq/ledger.ts';
import { readLedger } from '../../src/dlq/read-letters.ts';
import { formatReplay } from '../../src/domain/replay.ts';
import { deadLetterTopic, groups, tableTopic } from '../../src/domain/topics.ts';
import { aChange, anOrder } from '../builders.ts';
import { assertVerified, until, useStack, type Outcome, type TestStack } from '../stack.ts';

interface ListedLetter {
  origin: string;
  partition: number;
  offset: string;
  key: string;
  reason: string;
  attempts: number;
  state: string;
  at: string;
  closed?: { by: string; at: string; note: string };
}

let stack: TestStack;
let producer: KafkaProducer;
let admin: Redis;
let topic: string;
before(async () => {
  stack = await useStack();
  topic = tableTopic(stack.settings.TOPIC_PREFIX, 'orders');
  producer = createKafkaProducer({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' });
  admin = new Redis({ host: '127.0.0.1', port: stack.settings.REDIS_PORT, password: requireSecret(stack.settings, 'REDIS_PASSWORD').reveal() });
});
after(async () => {
  await producer.close();
  admin.disconnect();
  await stack.stop();
});

/** Ids that no test before used, so that each test sees its own letters only. */
let lastId = 700_000_000 + (Date.now() % 100_000_000);
const aNewId = (): string => String((lastId += 1));

const rowOf = async (id: string): Promise<Record<string, unknown> | null> => JSON.parse((await admin.get(stack.keys.row('order', id))) ?? 'null') as Record<string, unknown> | null;
const markOf = (id: string): Promise<string | null> => admin.get(stack.keys.parkedMark('orders', id));
const stat = async (field: string): Promise<number> => Number((await admin.hget(stack.keys.of('cdc:stats:orders'), field)) ?? 0);
const send = (id: string, value: string): Promise<unknown> => producer.send(topic, [{ key: Buffer.from(`{"id":${id}}`), value: Buffer.from(value), headers: {} }]);

/** The same without a process of its own, for waiting. */
async function openLettersOf(id: string): Promise<DeadLetter[]> {
  const ledger = new Ledger();
  await readLedger({ kafka: { brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' }, topic: deadLetterTopic(groups.cdc) }, ledger);
  return ledger.letters().filter((letter) => letter.id === id && letter.state === 'open');
}

async function lettersOf(id: string, ...more: string[]): Promise<ListedLetter[]> {
  const { code, stdout, stderr } = await stack.sluice('dlq', 'ls', '--json', '--table', 'orders', '--key', id, ...more);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { letters: ListedLetter[] }).letters;
}

/** Waits until `count` letters of the key are in the topic and their rejection is committed. */
async function parkedLetters(id: string, count: number): Promise<DeadLetter[]> {
  const letters = await until(`${count} dead letters of ${id}`, async () => {
    const found = await openLettersOf(id);
    return found.length === count && found;
  });
  const last = String(letters.at(-1)!.origin.offset);
  await until('the mark', async () => (await markOf(id))?.split(':')[1] === last);
  return letters;
}

async function replay(...selection: string[]): Promise<{ replayed: number; gone: number; cameBack: ListedLetter[] }> {
  const { stdout, stderr } = await stack.sluice('dlq', 'replay', '--json', '--yes', ...selection);
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as { replayed: number; gone: number; cameBack: ListedLetter[] };
}

const isListedAsParked = async (id: string): Promise<boolean> =>
  (JSON.parse((await stack.sluice('verify', '--json')).stdout) as { parked: string[] }).parked.includes(`cdc:parked:orders:${id}`);

/** An order of 10.00 and its update to 20.00, both refused by the sum of their status, which is then mended. */
async function twoLetters(): Promise<{ id: string; first: DeadLetter; second: DeadLetter }> {
  const id = aNewId();
  const status = `edge ${id}`;
  await admin.hset(stack.keys.of('metrics:revenue'), `cents:${status}`, '9223372036854775800');
  await stack.db.query(`INSERT INTO orders (id, total_amount, status) VALUES (${id}, 10, '${status}')`);
  await stack.db.query(`UPDATE orders SET total_amount = 20 WHERE id = ${id}`);
  const [first, second] = await parkedLetters(id, 2);
  assert.equal(first!.reason, 'sum_range');
  await admin.hdel(stack.keys.of('metrics:revenue'), `cents:${status}`);
  return { id, first: first!, second: second! };
}

test('a letter whose row has moved past it changes nothing and is gone', async () => {
  const [order] = await stack.db.query<{ id: string }>("INSERT INTO orders (total_amount, status) VALUES (1, 'refunded') RETURNING id::text");
  const { id } = order!;
  await until('the row', () => rowOf(id).then((row) => row ?? undefined));
  await send(id, '{"broken');
  const [letter] = await parkedLetters(id, 1);
  await stack.db.query(`UPDATE orders SET total_amount = 2 WHERE id = ${id}`);
  const moved = await until('the update', () => rowOf(id).then((row) => (row?.['total_amount'] === '2.00' ? row : undefined)));
  const dead = await stat('dead');

  assert.deepEqual(await replay('--origin', letter!.name), { replayed: 1, gone: 1, cameBack: [] });
  assert.deepEqual(await rowOf(id), moved);
  assert.equal(await markOf(id), null);
  assert.equal(await stat('dead'), dead);
  await assertVerified(stack);
});

test('a letter that comes back is open again, counted once, listed by verify, and closed by a discard with who, when and why', async () => {
  const id = aNewId();
  const dead = await stat('dead');
  await send(id, '{"broken');
  const [letter] = await parkedLetters(id, 1);
  assert.equal(await stat('dead'), dead + 1);
  for (const attempts of [2, 3]) {
    const { gone, cameBack } = await replay('--key', id);
    assert.equal(gone, 0);
    assert.deepEqual(cameBack.map((back) => [back.origin, back.attempts, back.reason]), [[letter!.name, attempts, 'malformed_json']]);
  }
  assert.equal(await stat('dead'), dead + 1, 'a letter counts once, however often it comes back');
  assert.ok(await isListedAsParked(id));

  const discard = await stack.sluice('dlq', 'discard', '--key', id, '--yes', '--note', 'not an order');
  assert.equal(discard.code, 0, discard.stderr);
  assert.match(discard.stdout, /Discarded 1 dead letter\b/);
  assert.equal(await markOf(id), null);
  assert.deepEqual(await openLettersOf(id), []);
  const [closed] = await lettersOf(id, '--all');
  assert.equal(closed!.state, 'discarded');
  assert.equal(closed!.closed!.note, 'not an order');
  assert.ok(closed!.closed!.by.length > 0);
  assert.ok(Math.abs(Date.parse(closed!.closed!.at) - Date.now()) < 600_000);
  assert.equal(await isListedAsParked(id), false);
});

test('two letters of one key, replayed in order: the first is applied while the second waits, then the second', async () => {
  const { id, first, second } = await twoLetters();
  assert.equal((await replay('--origin', first.name)).gone, 1);
  assert.equal((await rowOf(id))?.['total_amount'], '10.00');
  assert.equal(await markOf(id), `${first.origin.offset}:${second.origin.offset}:${second.origin.generation}`, 'the second still waits');
  assert.ok(await isListedAsParked(id));
  assert.equal((await replay('--origin', second.name)).gone, 1);
  const row = await rowOf(id);
  assert.deepEqual([row?.['total_amount'], row?.['_offset']], ['20.00', Number(second.origin.offset)]);
  assert.equal(await markOf(id), null);
  assert.equal(await admin.hget(stack.keys.of('metrics:revenue'), `cents:edge ${id}`), '2000');
  assert.equal(await isListedAsParked(id), false);
  await assertVerified(stack);
});

test('two letters of one key, the newer one first: the older one changes nothing', async () => {
  const { id, first, second } = await twoLetters();
  const dead = await stat('dead');
  assert.equal((await replay('--origin', second.name)).gone, 1);
  assert.equal((await rowOf(id))?.['total_amount'], '20.00');
  assert.equal(await markOf(id), null);
  assert.equal((await replay('--origin', first.name)).gone, 1);
  assert.equal((await rowOf(id))?.['total_amount'], '20.00');
  assert.equal(await admin.hget(stack.keys.of('metrics:revenue'), `cents:edge ${id}`), '2000');
  assert.equal(await stat('dead'), dead);
  await assertVerified(stack);
});

test('a replay after the key was deleted does not bring the row back', async () => {
  const { id, first, second } = await twoLetters();
  await stack.db.query(`DELETE FROM orders WHERE id = ${id}`);
  await until('the delete', async () => (await markOf(id)) === null);
  assert.deepEqual(await replay('--origin', first.name, second.name), { replayed: 2, gone: 2, cameBack: [] });
  assert.equal(await rowOf(id), null);
  await assertVerified(stack);
});

test('a command that is killed between the replay and its resolution is repeated without effect on the row', async () => {
  const { id, second } = await twoLetters();
  stack.arm('dlq.replayed', 'kill');
  const killed = await stack.sluice('dlq', 'replay', '--key', id, '--yes');
  assert.equal(stack.isArmed('dlq.replayed'), false, 'the fault landed');
  assert.notEqual(killed.code, 0);
  const row = await until('the replay is applied', () => rowOf(id).then((found) => (found?.['total_amount'] === '20.00' ? found : undefined)));
  assert.equal((await openLettersOf(id)).length, 2, 'its letters are still open');
  assert.deepEqual(await replay('--key', id), { replayed: 2, gone: 2, cameBack: [] });
  assert.deepEqual(await rowOf(id), row);
  assert.equal(row['_offset'], Number(second.origin.offset));
  assert.deepEqual(await openLettersOf(id), []);
  await assertVerified(stack);
});

test('a discarded letter is not applied; another open one of its key keeps the key parked', async () => {
  const { id, first, second } = await twoLetters();
  assert.equal((await stack.sluice('dlq', 'discard', '--origin', second.name)).code, 0);
  assert.equal((await markOf(id))?.split(':')[1], String(first.origin.offset));
  await producer.send(topic, [{ partition: second.origin.partition, key: Buffer.from(`{"id":${id}}`), value: aChange({ after: anOrder({ id: Number(id), total_amount: '99.00' }) }).value, headers: formatReplay({ of: second.origin.offset, generation: second.origin.generation }) }]);
  assert.equal((await replay('--origin', first.name)).gone, 1);
  assert.equal((await rowOf(id))?.['total_amount'], '10.00');
  const verify = await stack.sluice('verify', '--json');
  assert.equal(verify.code, 1, 'the discarded change is now a difference');
  await stack.db.query(`UPDATE orders SET total_amount = 30 WHERE id = ${id}`);
  await until('the next change', () => rowOf(id).then((row) => row?.['total_amount'] === '30.00'));
  await assertVerified(stack);
});

test('a replay that the consumer does not come to is told with exit code 3, and applied when it runs again', async () => {
  const { id } = await twoLetters();
  const { pid } = (await stack.status()).processes.find(({ name }) => name === 'cdc-consumer')!;
  process.kill(pid, 'SIGSTOP');
  let late: Outcome;
  try {
    late = await stack.sluice('dlq', 'replay', '--key', id, '--yes', '--wait', '2');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  assert.equal(late.code, 3);
  assert.match(late.stderr, /replays are stored, but the consumer has not come to them/);
  await until('the replay is applied', () => rowOf(id).then((row) => row?.['total_amount'] === '20.00'));
  assert.deepEqual(await openLettersOf(id), []);
  await assertVerified(stack);
});

test('a bulk is refused without --yes, a dry run changes nothing, and filters choose by reason, table, key and time', async () => {
  const id = aNewId();
  const secret = 'a-secret-of-a-customer';
  const start = new Date(Date.now() - 1000).toISOString();
  await send(id, `{"${secret}`);
  await send(id, '{"two');
  const [first] = await parkedLetters(id, 2);
  const refused = await stack.sluice('dlq', 'discard', '--key', id);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /--yes/);
  assert.equal((await stack.sluice('dlq', 'replay')).code, 2, 'nothing was chosen');
  assert.equal((await stack.sluice('dlq', 'ls', '--since', 'yesterday')).code, 2);
  const dry = await stack.sluice('dlq', 'discard', '--key', id, '--dry-run');
  assert.equal(dry.code, 0);
  assert.match(dry.stdout, /2 open\.\nDiscard would close these/);
  assert.equal((await openLettersOf(id)).length, 2);

  const none = [['--reason', 'bad_column'], ['--until', start], ['--since', '2100-01-01']];
  for (const filter of none) assert.deepEqual(await lettersOf(id, ...filter), [], filter.join(' '));
  assert.equal((await lettersOf(id, '--reason', 'malformed_json', '--since', start)).length, 2);
  assert.deepEqual((await lettersOf(id, '--origin', first!.name)).map(({ origin }) => origin), [first!.name]);

  const list = await stack.sluice('dlq', 'ls', '--key', id);
  assert.ok(!list.stdout.includes(secret), 'a list never shows contents');
  assert.ok(!stack.logOf('cdc-consumer').includes(secret));
  const shown = await stack.sluice('dlq', 'show', first!.name);
  assert.ok(shown.stdout.includes(secret));
  assert.match(shown.stderr, /personal data/);
  assert.equal((await stack.sluice('dlq', 'show', 'no-such-1-2')).code, 1);
  assert.equal((await stack.sluice('dlq', 'discard', '--key', id, '--yes')).code, 0);
});

test('a bulk by table, reason and time closes those letters, with who and why, and no other', async () => {
  const [one, two, other] = [aNewId(), aNewId(), aNewId()];
  const start = new Date().toISOString();
  const unknownOperation = (id: string): string => aChange({ after: anOrder({ id: Number(id) }) }).value!.toString().replace(/"op":"."/, '"op":"x"');
  await Promise.all([send(one, unknownOperation(one)), send(two, unknownOperation(two)), send(other, '{"broken')]);
  for (const id of [one, two, other]) await parkedLetters(id, 1);
  const { code, stdout, stderr } = await stack.sluice('dlq', 'discard', '--table', 'orders', '--reason', 'unsupported_operation', '--since', start, '--yes', '--note', 'in bulk');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Discarded 2 dead letters\b/);
  for (const id of [one, two]) {
    assert.equal(await markOf(id), null);
    const [closed] = await lettersOf(id, '--all');
    assert.deepEqual([closed!.state, closed!.closed!.note], ['discarded', 'in bulk']);
  }
  assert.equal((await openLettersOf(other)).length, 1);
  assert.deepEqual((await replay('--table', 'orders', '--reason', 'malformed_json', '--since', start)).cameBack.map(({ key }) => key), [other]);
  assert.equal((await stack.sluice('dlq', 'discard', '--key', other, '--yes')).code, 0);
  await assertVerified(stack);
});
