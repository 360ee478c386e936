/**
 * Goal: whatever comes (from SQL, or as a foreign record in a change topic), the replica ends equal to the source, what cannot
 * be applied is a dead letter, the fence moves past it, and neighbours are applied.
 * Method: one table of cases on the real stack under the generator's load; after each, everything is compared by `sluice verify`.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createKafkaProducer, type KafkaProducer } from '../../src/adapters/kafka-producer.ts';
import { Ledger } from '../../src/dlq/ledger.ts';
import { readLedger } from '../../src/dlq/read-letters.ts';
import { deadLetterTopic, groups, tableTopic } from '../../src/domain/topics.ts';
import { readLag } from '../../src/replica/lag.ts';
import { aChange, anOrder } from '../builders.ts';
import { assertVerified, until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
let producer: KafkaProducer;
before(async () => {
  stack = await useStack();
  producer = createKafkaProducer({ brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' });
});
after(async () => {
  await producer.close();
  await stack.stop();
});

interface Case {
  name: string;
  run: () => Promise<unknown>;
  /** Dead letters that this makes in orders. */
  dead?: number;
}

const sql = (text: string): Promise<Record<string, string>[]> => stack.db.query<Record<string, string>>(text);
const count = async (table: string): Promise<number> => Number((await sql(`SELECT count(*) AS n FROM ${table}`))[0]!['n']);
const row = async (name: string): Promise<Record<string, unknown> | null> => {
  const [text] = await stack.redis.strings([stack.keys.of(name)]);
  return text ? (JSON.parse(text) as Record<string, unknown>) : null;
};
const stats = async (table: string, field: string): Promise<number> => Number((await stack.redis.hash(stack.keys.of(`cdc:stats:${table}`)))[field] ?? 0);
const send = (key: string | null, value: string | null): Promise<unknown> =>
  producer.send(tableTopic(stack.settings.TOPIC_PREFIX, 'orders'), [{ key: key === null ? null : Buffer.from(key), value: value === null ? null : Buffer.from(value), headers: {} }]);
const anOrderMessage = (id: number, columns: Record<string, unknown>): string =>
  aChange({ op: 'c', after: { ...anOrder({ id }), ...columns } as ReturnType<typeof anOrder> }).value!.toString();
const newOrder = async (columns = "(total_amount) VALUES (3.21)"): Promise<string> => String((await sql(`INSERT INTO orders ${columns} RETURNING id`))[0]!['id']);
const drained = async (): Promise<boolean> => {
  const lag = await readLag({ admin: stack.kafka, redis: stack.redis, keys: stack.keys, topics: [tableTopic(stack.settings.TOPIC_PREFIX, 'orders')] });
  return lag.every(({ events }) => events === 0);
};
const fences = async (): Promise<bigint> => {
  const bounds = await stack.kafka.offsets(tableTopic(stack.settings.TOPIC_PREFIX, 'orders'));
  const texts = await stack.redis.strings(bounds.map(({ partition }) => stack.keys.offset(tableTopic(stack.settings.TOPIC_PREFIX, 'orders'), partition)));
  return texts.reduce((sum, text) => sum + BigInt(text ?? 0), 0n);
};
const inTransaction = (...statements: string[]): Promise<void> =>
  stack.db.transaction(async (tx) => {
    await tx.query("SET LOCAL deadlock_timeout = '1min'"); // of two that wait for each other the generator looks first, gives way, and writes again
    for (const text of statements) await tx.query(text);
  });

const fromSql: Case[] = [
  {
    name: 'TRUNCATE of one table, with changes before and after it in the same transaction',
    run: async () => {
      const truncates = await stats('order_items', 't');
      await inTransaction(
        'LOCK TABLE order_items IN ACCESS EXCLUSIVE MODE', // before any of its rows: the generator writes too
        'INSERT INTO order_items (quantity, unit_price) SELECT g, 1.25 FROM generate_series(1, 3000) g',
        'UPDATE order_items SET quantity = quantity + 1',
        'TRUNCATE order_items',
        'INSERT INTO order_items (quantity, unit_price) SELECT g, 0.75 FROM generate_series(1, 500) g',
      );
      await until('the truncate is counted', async () => (await stats('order_items', 't')) === truncates + 1);
      await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['order_items'] === 'running');
    },
  },
  {
    name: 'TRUNCATE with CASCADE empties every table it reaches, once each',
    run: async () => {
      const before = await Promise.all(['customers', 'orders', 'order_items'].map((table) => stats(table, 't')));
      await inTransaction('LOCK TABLE order_items, orders, customers IN ACCESS EXCLUSIVE MODE', 'TRUNCATE customers CASCADE');
      await until('three truncates are counted', async () => {
        const now = await Promise.all(['customers', 'orders', 'order_items'].map((table) => stats(table, 't')));
        return now.every((t, i) => t === before[i]! + 1);
      });
      assert.equal(await stats('products', 't'), 0);
    },
  },
  {
    name: 'TRUNCATE while other partitions of the table lag behind it and run ahead of it',
    run: async () => {
      const truncates = await stats('order_items', 't');
      for (let round = 0; round < 3; round += 1) {
        await sql('INSERT INTO order_items (quantity, unit_price) SELECT g, 2.50 FROM generate_series(1, 5000) g');
        await sql('TRUNCATE order_items');
        await sql('INSERT INTO order_items (quantity, unit_price) SELECT g, 3.50 FROM generate_series(1, 5000) g');
      }
      await until('the truncates are counted', async () => (await stats('order_items', 't')) === truncates + 3, 120_000);
      await until('the table runs again', async () => (await stack.redis.hash(stack.keys.status))['order_items'] === 'running', 120_000);
    },
  },
  {
    name: 'COPY of many rows, which share one LSN',
    run: async () => {
      const file = `/tmp/sluice-copy-${process.pid}-${Date.now()}.csv`;
      await sql(`COPY (SELECT 7, 9.99 FROM generate_series(1, 20000)) TO '${file}'`);
      await sql(`COPY order_items (quantity, unit_price) FROM '${file}'`);
      const lsnOf = async ({ id }: Record<string, string>): Promise<unknown> => until('the last rows', async () => (await row(`order_item:${id}`))?.['_lsn']);
      const lsns = await Promise.all((await sql('SELECT id FROM order_items WHERE quantity = 7 AND unit_price = 9.99 ORDER BY id DESC LIMIT 20')).map(lsnOf));
      assert.ok(new Set(lsns).size < lsns.length, 'rows share an LSN');
      await sql(`COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -f ${file}'`); // PostgreSQL fails if nobody reads
    },
  },
  {
    name: 'one transaction of 100,000 rows',
    run: async () => {
      await sql("INSERT INTO orders (total_amount, status) SELECT g / 100.0, 'pending' FROM generate_series(1, 100000) g");
      await until('all of it', drained, 180_000, 500);
      await sql("DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE customer_id IS NULL ORDER BY id DESC LIMIT 99000)");
    },
  },
  {
    name: 'insert, delete and insert of one key, in one transaction and in three',
    run: async () => {
      const id = Number(await newOrder());
      await inTransaction(`DELETE FROM orders WHERE id = ${id}`, `INSERT INTO orders (id, total_amount) VALUES (${id}, 5.55)`, `DELETE FROM orders WHERE id = ${id}`, `INSERT INTO orders (id, total_amount) VALUES (${id}, 6.66)`);
      await until('the last insert', async () => (await row(`order:${id}`))?.['total_amount'] === '6.66');
      await sql(`DELETE FROM orders WHERE id = ${id}`);
      await sql(`INSERT INTO orders (id, total_amount) VALUES (${id}, 7.77)`);
      await until('the very last insert', async () => (await row(`order:${id}`))?.['total_amount'] === '7.77');
    },
  },
  {
    name: 'two rows swap their keys',
    run: async () => {
      const [a, b] = [await newOrder("(total_amount) VALUES (1.11)"), await newOrder("(total_amount) VALUES (2.22)")];
      await inTransaction(`UPDATE orders SET id = -1 WHERE id = ${a}`, `UPDATE orders SET id = ${a} WHERE id = ${b}`, `UPDATE orders SET id = ${b} WHERE id = -1`);
      await until('the swap', async () => (await row(`order:${a}`))?.['total_amount'] === '2.22' && (await row(`order:${b}`))?.['total_amount'] === '1.11');
      assert.equal(await row('order:-1'), null);
    },
  },
  {
    name: 'work that is rolled back, whole and to a savepoint',
    run: async () => {
      const id = Number(await newOrder()) + 100_000_000;
      await assert.rejects(stack.db.transaction(async (tx) => {
        await tx.query(`INSERT INTO orders (id, total_amount) VALUES (${id}, 1)`);
        throw new Error('changed my mind');
      }));
      await inTransaction('SAVEPOINT s', `INSERT INTO orders (id, total_amount) VALUES (${id}, 1)`, 'ROLLBACK TO s', `INSERT INTO orders (id, total_amount) VALUES (${id + 1}, 1)`);
      await until('what was kept', async () => row(`order:${id + 1}`).then((found) => found ?? undefined));
      assert.equal(await row(`order:${id}`), null);
      await sql(`DELETE FROM orders WHERE id > ${id}`);
    },
  },
  {
    name: 'a table that we do not know, in the publication or not',
    run: async () => {
      await sql('CREATE TABLE public.parcels (id serial PRIMARY KEY, weight numeric)');
      await sql('INSERT INTO parcels (weight) VALUES (0.5)');
      await sql('ALTER PUBLICATION sluice ADD TABLE public.parcels');
      await sql('INSERT INTO parcels (weight) VALUES (1.5), (2.5)');
      await sql('DROP TABLE public.parcels');
      await aRow();
      assert.equal((await stack.redis.scan(stack.keys.of('parcel*')).next()).value, undefined);
    },
  },
  {
    name: 'values at the edge: NULL, NaN, infinite and far times, microseconds, any text',
    run: async () => {
      await sql(`INSERT INTO orders (total_amount, status, order_date, shipping_address) VALUES
        (NULL, NULL, NULL, NULL), ('NaN', '', 'infinity', ''), (-99999999.99, 'cancelled', '-infinity', E'\\u0001\\u001F\\t\\n\\u2028'),
        (99999999.99, '(none)', '4713-01-01 00:00:00 BC', E'"\\\\\\\\"\\'{}[]:,'), (0.01, 'żółć 漢字 🚲', '294276-12-31 23:59:59.999999', repeat('🚲', 3000)),
        (0, 'pending', '1969-12-31 23:59:59.999999', 'x'), (0, 'pending', '2026-03-29 02:30:00.000001', 'x')`);
    },
  },
  {
    name: 'a text of 1 MB, stored, changed beside, and changed itself',
    run: async () => {
      const id = await newOrder("(total_amount, shipping_address) VALUES (1.00, (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 32768) g))");
      await sql(`UPDATE orders SET total_amount = 2.00 WHERE id = ${id}`);
      await until('the update beside it', async () => (await row(`order:${id}`))?.['total_amount'] === '2.00');
      assert.equal(String((await row(`order:${id}`))?.['shipping_address']).length, 1_048_576);
      await sql(`UPDATE orders SET shipping_address = 'short' WHERE id = ${id}`);
    },
  },
  {
    name: 'an unchanged large value that PostgreSQL does not send is the one the row has',
    run: async () => {
      await sql('ALTER TABLE orders REPLICA IDENTITY DEFAULT');
      const id = await newOrder("(total_amount, shipping_address) VALUES (1.00, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 4096)))");
      await sql(`UPDATE orders SET total_amount = 2.00 WHERE id = ${id}`);
      await until('the update', async () => (await row(`order:${id}`))?.['total_amount'] === '2.00');
      assert.equal(String((await row(`order:${id}`))?.['shipping_address']).length, 131_072);
      await sql('ALTER TABLE orders REPLICA IDENTITY FULL');
    },
  },
];

/** An order that is in Redis. */
async function aRow(): Promise<string> {
  const id = await newOrder();
  await until('the row', async () => (await row(`order:${id}`)) ?? undefined);
  return id;
}
const key = (id: number): string => `{"id":${id}}`;
const fromTopic: Case[] = [
  { name: 'malformed JSON', dead: 2, run: async () => void (await send(key(900_000_001), '{"broken'), await send(key(900_000_001), 'plain text')) },
  { name: 'an empty value, an empty object, another type of value', dead: 4, run: async () => void (await send(key(900_000_002), ''), await send(key(900_000_002), '{}'), await send(key(900_000_002), '[]'), await send(key(900_000_002), '7')) },
  { name: 'a key that is none', dead: 3, run: async () => void (await send(null, anOrderMessage(1, {})), await send('', anOrderMessage(1, {})), await send('{"id":"x"}', anOrderMessage(1, {}))) },
  { name: 'columns of another type', dead: 3, run: async () => void (await send(key(900_000_003), anOrderMessage(900_000_003, { total_amount: 12.5 })), await send(key(900_000_003), anOrderMessage(900_000_003, { customer_id: 'one' })), await send(key(900_000_003), anOrderMessage(900_000_003, { order_date: '22.11.2026' }))) },
  { name: 'columns that nobody counts, of another type and missing', dead: 2, run: async () => void (await send(key(900_000_008), anOrderMessage(900_000_008, { shipping_address: 7 })), await send(key(900_000_008), anOrderMessage(900_000_008, { created_at: undefined }))) },
  { name: 'an amount below a cent, an infinite one, one that no counter can hold', dead: 3, run: async () => void (await send(key(900_000_004), anOrderMessage(900_000_004, { total_amount: '0.001' })), await send(key(900_000_004), anOrderMessage(900_000_004, { total_amount: 'POSITIVE_INFINITY' })), await send(key(900_000_004), anOrderMessage(900_000_004, { total_amount: '99999999999999999999.00' }))) },
  { name: 'a change of another table in this topic', dead: 1, run: async () => void (await send(key(900_000_005), aChange({ table: 'customers', op: 'c', after: anOrder({ id: 900_000_005 }) }).value!.toString())) },
  { name: 'tombstones alone, of a row that is there and of one that is not', run: async () => void (await send(key(Number(await aRow())), null), await send(key(900_000_006), null)) },
  { name: 'a record of 12 MB that is no change', dead: 1, run: async () => void (await send(key(900_000_007), `{"junk":"${'x'.repeat(12 * 1024 * 1024)}"}`)) },
];

for (const { name, run, dead = 0 } of [...fromSql, ...fromTopic]) {
  test(name, async () => {
    const [letters, fence] = [await stats('orders', 'dead'), await fences()];
    await run();
    const neighbour = await newOrder();
    await until('a neighbour', async () => (await row(`order:${neighbour}`)) ?? undefined, 120_000);
    await until('the dead letters', async () => (await stats('orders', 'dead')) >= letters + dead);
    await assertVerified(stack);
    assert.equal(await stats('orders', 'dead'), letters + dead);
    assert.ok((await fences()) > fence, 'the fence has moved');
    assert.ok((await count('orders')) > 0);
  });
}

/** By the id that the case before uses; the key that is none has no id. */
const reasons: [id: number, reasons: string[]][] = [
  [900_000_001, ['malformed_json']],
  [900_000_002, ['malformed_envelope', 'malformed_json']],
  [900_000_003, ['bad_column']],
  [900_000_004, ['bad_column', 'number_range']],
  [900_000_005, ['malformed_envelope']],
  [900_000_007, ['malformed_envelope']],
  [900_000_008, ['bad_column']],
];
test('no foreign record is applied: each stands in the dead-letter topic with its reason, its key parked', async () => {
  const ledger = new Ledger();
  await readLedger({ kafka: { brokers: [`127.0.0.1:${stack.settings.KAFKA_PORT}`], clientId: 'test' }, topic: deadLetterTopic(groups.cdc) }, ledger);
  for (const [id, expected] of reasons) {
    const letters = ledger.letters().filter((letter) => letter.id === String(id));
    assert.deepEqual([...new Set(letters.map(({ reason }) => reason))].sort(), expected, String(id));
    assert.equal(await row(`order:${id}`), null);
    const [mark] = await stack.redis.strings([stack.keys.parkedMark('orders', String(id))]);
    assert.equal(mark?.split(':')[1], String(letters.at(-1)!.origin.offset));
  }
});

test('an update that commits after an incremental snapshot has read its row wins, although its LSN is smaller', async () => {
  const id = await newOrder("(total_amount, status) VALUES (1.00, 'set aside')"); // a status that the generator leaves alone
  const lsn = async (): Promise<bigint> => BigInt(String((await row(`order:${id}`))?.['_lsn'] ?? 0));
  const created = await until('the row', async () => (await lsn()) || undefined);
  let readLsn = 0n;
  await stack.db.transaction(async (tx) => {
    await tx.query(`UPDATE orders SET total_amount = 2.00 WHERE id = ${id}`);
    await stack.db.query(`INSERT INTO cdc.signal (id, type, data) VALUES ('lsn-${Date.now()}', 'execute-snapshot', '{"data-collections": ["public.orders"], "type": "incremental"}')`);
    await until('the snapshot has read the row of before', async () => (await lsn()) !== created && (await row(`order:${id}`))?.['total_amount'] === '1.00', 120_000);
    await until('nothing is left of the snapshot', drained, 120_000);
    readLsn = await lsn();
  });
  await until('the update', async () => (await row(`order:${id}`))?.['total_amount'] === '2.00');
  assert.ok((await lsn()) < readLsn, 'the LSN runs backwards');
  await assertVerified(stack);
});
