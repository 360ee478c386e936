/**
 * Random shop histories as change topics, and what Redis must hold after them, worked out without the engine:
 * plain loops over the final rows and over the list of events.
 */
import fc from 'fast-check';
import type { SourceRecord } from '../src/domain/change-event.ts';
import type { Row } from '../src/domain/columns.ts';
import { aChange, aCustomer, anOrder, anOrderItem, aProduct, aRecord, aTombstone, aTruncate } from './builders.ts';

export const tableNames = ['customers', 'products', 'orders', 'order_items'] as const;
type TableName = (typeof tableNames)[number];
const partitionCount = 2;

export interface History {
  /** `<table>-<partition>` → records in offset order; offsets have gaps. */
  log: Map<string, SourceRecord[]>;
  /** Final rows by table and id. */
  rows: Map<TableName, Map<number, Row>>;
  /** Events by table: `c u d r t dead`. */
  events: Map<string, Record<string, number>>;
}

interface Step {
  table: TableName;
  id: number;
  action: 'put' | 'delete' | 'move' | 'reread' | 'garbage' | 'truncate';
  newId: number;
  gap: number;
  row: { state: string | null; cents: number; status: string | null; customer: number | null; product: number | null; quantity: number; date: string | null };
}

const actions = ['put', 'put', 'put', 'put', 'delete', 'move', 'reread', 'garbage'] as const;
const step = (allowed: readonly Step['action'][]): fc.Arbitrary<Step> => fc.record({
  table: fc.constantFrom(...tableNames),
  id: fc.integer({ min: 1, max: 6 }),
  newId: fc.integer({ min: 1, max: 6 }),
  action: fc.constantFrom(...allowed),
  gap: fc.integer({ min: 1, max: 3 }),
  row: fc.record({
    state: fc.constantFrom('TX', 'NY', null),
    cents: fc.constantFrom(0, 1, 1999, 999_999_999_999, -500),
    status: fc.constantFrom('pending', 'cancelled', 'delivered', null),
    customer: fc.constantFrom(1, 2, null),
    product: fc.constantFrom(1, 2, null),
    quantity: fc.integer({ min: 0, max: 2_000_000_000 }),
    date: fc.constantFrom('2026-11-22T10:00:00Z', '1969-12-31T23:59:59.9999Z', null),
  }),
});

const money = (cents: number): string => `${cents < 0 ? '-' : ''}${Math.floor(Math.abs(cents) / 100)}.${String(Math.abs(cents) % 100).padStart(2, '0')}`;

function makeRow({ table, row }: Step, id: number): Row {
  switch (table) {
    case 'customers':
      return aCustomer({ id, state: row.state });
    case 'products':
      return aProduct({ id, category: row.state, price: money(row.cents) });
    case 'orders':
      return anOrder({ id, customer_id: row.customer, total_amount: money(row.cents), status: row.status, order_date: row.date });
    case 'order_items':
      return anOrderItem({ id, product_id: row.product, quantity: row.quantity, unit_price: money(row.cents % 100_000) });
  }
}

/** Histories of up to `max` steps over four tables and two partitions each. */
export const history = (max: number): fc.Arbitrary<History> => fc.array(step(actions), { maxLength: max }).map(build);
/** The same with now and then a TRUNCATE, in whichever partition. */
export const truncatedHistory = (max: number): fc.Arbitrary<History> => fc.array(step([...actions, 'truncate']), { maxLength: max }).map(build);

function build(steps: Step[]): History {
  const log = new Map<string, SourceRecord[]>();
  const rows = new Map(tableNames.map((name) => [name, new Map<number, Row>()]));
  const events = new Map<string, Record<string, number>>(tableNames.map((name) => [name, { c: 0, u: 0, d: 0, r: 0, t: 0, dead: 0 }]));
  for (const tableName of tableNames) for (let p = 0; p < partitionCount; p += 1) log.set(`${tableName}-${p}`, []);
  const append = (one: Step, id: number, record: (offset: bigint) => SourceRecord): void => {
    const partition = log.get(`${one.table}-${id % partitionCount}`)!;
    partition.push(record((partition.at(-1)?.offset ?? -1n) + BigInt(one.gap)));
  };
  // LSNs run backwards now and then, as they do across concurrent transactions, but never across a TRUNCATE.
  let era = 1;
  let written = 0;
  const nextLsn = (): number => era * 10_000 + (((written += 1) * 7919) % 10_000);
  const emit = (one: Step, op: 'c' | 'u' | 'd' | 'r', before: Row | null, after: Row | null): void => {
    const id = Number((after ?? before)!['id']);
    append(one, id, (offset) => aChange({ table: one.table, op, before, after, offset, lsn: nextLsn() }));
    if (op === 'd') append(one, id, (offset) => aTombstone(id, offset));
    events.get(one.table)![op]! += 1;
    const live = rows.get(one.table)!;
    if (after) live.set(id, after);
    else live.delete(id);
  };
  for (const one of steps) {
    const live = rows.get(one.table)!;
    const before = live.get(one.id) ?? null;
    if (one.action === 'garbage') {
      append(one, one.id, (offset) => aRecord({ offset, key: `{"id":${one.id}}`, value: '{"not":"an envelope"}' }));
      events.get(one.table)!['dead']! += 1;
    } else if (one.action === 'truncate') {
      append(one, one.id, (offset) => aTruncate(one.table, offset, (era += 1) * 10_000 - 1));
      events.get(one.table)!['t']! += 1;
      live.clear();
    } else if (one.action === 'put' || !before) emit(one, before ? 'u' : 'c', before, makeRow(one, one.id));
    else if (one.action === 'delete') emit(one, 'd', before, null);
    else if (one.action === 'reread') emit(one, 'r', null, before);
    else if (!live.has(one.newId)) {
      emit(one, 'd', before, null);
      emit(one, 'c', null, makeRow(one, one.newId));
    }
  }
  return { log, rows, events };
}

export interface Expected {
  /** Key → columns of the row. */
  rows: Map<string, Row>;
  /** Hash → field → exact decimal text; zero fields are left out. */
  counters: Map<string, Map<string, string>>;
  /** Sorted set → member → score. */
  members: Map<string, Map<string, number>>;
}

const entities: Record<TableName, string> = { customers: 'customer', products: 'product', orders: 'order', order_items: 'order_item' };
const countedAs: Record<string, string> = { c: 'created', u: 'updated', d: 'deleted' };
const toCents = (value: unknown): bigint => BigInt(String(value).replace('.', ''));

/** What Redis must hold when all of `history` is applied. */
export function expectedReplica({ rows, events }: History): Expected {
  const expected: Expected = { rows: new Map(), counters: new Map(), members: new Map() };
  const sums = new Map<string, bigint>();
  const sum = (hash: string, field: string, amount: bigint): void => void sums.set(`${hash}\n${field}`, (sums.get(`${hash}\n${field}`) ?? 0n) + amount);
  for (const [table, live] of rows) {
    for (const [id, row] of live) {
      expected.rows.set(`${entities[table]}:${id}`, row);
      sum(`metrics:${table}`, 'live', 1n);
      if (table === 'customers') sum('metrics:customers:by_state', String(row['state'] ?? '(none)'), 1n);
      if (table === 'products') sum('metrics:products:by_category', String(row['category'] ?? '(none)'), 1n);
      if (table === 'orders') {
        const status = String(row['status'] ?? '(none)');
        sum('metrics:orders:by_status', status, 1n);
        sum('metrics:revenue', `cents:${status}`, toCents(row['total_amount']));
        if (status !== 'cancelled') sum('metrics:revenue', 'total_cents', toCents(row['total_amount']));
        if (row['customer_id'] !== null) {
          const zset = `customer:${String(row['customer_id'])}:orders`;
          const members = expected.members.get(zset) ?? new Map<string, number>();
          expected.members.set(zset, members.set(String(id), { '2026-11-22T10:00:00Z': 1795341600000, '1969-12-31T23:59:59.9999Z': -1 }[String(row['order_date'])] ?? 0));
        }
      }
      if (table === 'order_items' && row['product_id'] !== null) {
        const product = `metrics:product:${String(row['product_id'])}`;
        sum(product, 'items', 1n);
        sum(product, 'sold_units', BigInt(Number(row['quantity'])));
        sum(product, 'revenue_cents', BigInt(Number(row['quantity'])) * toCents(row['unit_price']));
      }
    }
    for (const [op, count] of Object.entries(events.get(table)!)) {
      sum(`cdc:stats:${table}`, op, BigInt(count));
      if (countedAs[op]) sum(`metrics:${table}`, countedAs[op], BigInt(count));
    }
  }
  for (const [name, amount] of sums) {
    if (amount === 0n) continue;
    const [hash = '', field = ''] = name.split('\n');
    expected.counters.set(hash, (expected.counters.get(hash) ?? new Map<string, string>()).set(field, String(amount)));
  }
  return expected;
}

/** Events of a history, the way `cdc:stats:total` counts them: what could not be read has no operation. */
export const totalEvents = ({ events }: History): number => [...events.values()].reduce((sum, { c = 0, u = 0, d = 0, r = 0, t = 0 }) => sum + c + u + d + r + t, 0);

/** One delivery: which partition, how many records it re-reads from before the fence, how many it takes, and what happens to it. */
export interface Delivery {
  partition: number;
  back: number;
  size: number;
  fate: 'commit' | 'crash' | 'zombie';
}

export const deliveries: fc.Arbitrary<Delivery[]> = fc.array(
  fc.record({
    partition: fc.nat(),
    back: fc.integer({ min: 0, max: 3 }),
    size: fc.integer({ min: 1, max: 8 }),
    fate: fc.constantFrom('commit', 'commit', 'commit', 'crash', 'zombie'),
  }),
  { maxLength: 60 },
);
