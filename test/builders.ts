/** Builders of what Debezium sends: one line per event in a test. */
import type { SourceRecord, TableEvent } from '../src/domain/change-event.ts';
import type { Row } from '../src/domain/columns.ts';
import { rowName } from '../src/domain/keys.ts';
import type { Table } from '../src/domain/tables/table.ts';

export interface ChangeSpec {
  table?: string;
  op?: 'c' | 'u' | 'd' | 'r';
  before?: Row | null;
  after?: Row | null;
  offset?: bigint | number;
  lsn?: number;
  commitMs?: number;
  txId?: number;
}

const stamp = '2026-11-22T10:00:00.123456Z';

export const aCustomer = (columns: Partial<Row> = {}): Row => ({
  id: 1,
  first_name: 'Ada',
  last_name: 'Byron',
  email: 'ada@example.com',
  phone: null,
  address: null,
  city: 'Austin',
  state: 'TX',
  zip_code: '78701',
  created_at: stamp,
  updated_at: stamp,
  ...columns,
});

export const aProduct = (columns: Partial<Row> = {}): Row => ({
  id: 1,
  name: 'Lamp',
  description: null,
  price: '19.99',
  category: 'Home',
  stock_quantity: 100,
  created_at: stamp,
  updated_at: stamp,
  ...columns,
});

export const anOrder = (columns: Partial<Row> = {}): Row => ({
  id: 1,
  customer_id: 1,
  order_date: stamp,
  total_amount: '10.00',
  status: 'pending',
  shipping_address: null,
  created_at: stamp,
  updated_at: stamp,
  ...columns,
});

export const anOrderItem = (columns: Partial<Row> = {}): Row => ({
  id: 1,
  order_id: 1,
  product_id: 1,
  quantity: 2,
  unit_price: '5.00',
  created_at: stamp,
  ...columns,
});

/** A record with exactly this key and value text; null stays null. */
export const aRecord = (spec: { offset?: bigint | number; key?: string | null; value?: string | null } = {}): SourceRecord => ({
  offset: BigInt(spec.offset ?? 0),
  timestampMs: '1763805600000',
  key: spec.key === null ? null : Buffer.from(spec.key ?? '{"id":1}'),
  value: spec.value === null || spec.value === undefined ? null : Buffer.from(spec.value),
});

/** A change of one row as Debezium writes it (JSON without schemas). */
export function aChange(spec: ChangeSpec = {}): SourceRecord {
  const { table = 'orders', op = 'c', before = null, offset = 0, lsn = 24023128, commitMs = 1763805600000, txId = 700 } = spec;
  const after = op === 'd' ? null : (spec.after ?? anOrder());
  const id = (after ?? before)?.['id'] ?? 1;
  const value = {
    before,
    after,
    source: {
      version: '3.7.0.Final',
      connector: 'postgresql',
      name: 'ecommerce',
      ts_ms: commitMs,
      snapshot: op === 'r' ? 'true' : null,
      db: 'source_db',
      sequence: `["${lsn - 8}","${lsn}"]`,
      ts_us: commitMs * 1000,
      ts_ns: '@',
      schema: 'public',
      table,
      txId,
      lsn,
      xmin: null,
      origin: null,
      origin_lsn: null,
    },
    transaction: null,
    op,
    ts_ms: commitMs + 20,
    ts_us: commitMs * 1000 + 20_456,
    ts_ns: '@',
  };
  // Nanoseconds pass 2^53: written as text.
  return aRecord({ offset, key: `{"id":${String(id)}}`, value: JSON.stringify(value).replaceAll('"ts_ns":"@"', `"ts_ns":${commitMs}020456`) });
}

/** Row names a batch needs before it can be folded, each once. */
export function rowsTouched(table: Table, events: TableEvent[]): string[] {
  const touched = new Set<string>();
  for (const event of events) if ((event.kind === 'change' || event.kind === 'rejected') && event.id !== null) touched.add(rowName(table.entity, event.id));
  return [...touched];
}

/** The row a decoded change brings; null when it brings none. */
export const imageOf = (event: TableEvent): Row | null => (event.kind === 'change' && event.image !== null ? (JSON.parse(event.image) as Row) : null);

/** What Debezium writes for a TRUNCATE: no key, no images. */
export function aTruncate(table: string, offset: bigint | number, lsn: number): SourceRecord {
  const value = aChange({ table, op: 'c', after: anOrder(), offset, lsn }).value!.toString();
  const envelope = { ...(JSON.parse(value) as object), before: null, after: null, op: 't' };
  return aRecord({ offset, key: null, value: JSON.stringify(envelope) });
}

/** The record Debezium writes after a delete. */
export const aTombstone = (id: number, offset: bigint | number = 0): SourceRecord => aRecord({ offset, key: `{"id":${id}}`, value: null });
