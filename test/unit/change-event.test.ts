/** Goal: any record gives an answer; what cannot be applied says why and keeps its operation and key where they can be read. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeHeartbeat, decodeTableEvent, type SourceRecord, type TableEvent } from '../../src/domain/change-event.ts';
import { unavailableValue, type Row } from '../../src/domain/columns.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { aChange, aRecord, aTombstone, aTruncate, anOrder, imageOf } from '../builders.ts';

const decode = (record: Parameters<typeof decodeTableEvent>[1]): TableEvent => decodeTableEvent(orders, record);
const withValue = (change: (value: Record<string, never>) => unknown): TableEvent => {
  const record = aChange();
  const value = JSON.parse(record.value!.toString()) as Record<string, never>;
  change(value);
  return decode({ ...record, value: Buffer.from(JSON.stringify(value)) });
};
const rejection = (event: TableEvent): (string | null)[] => (event.kind === 'rejected' ? [event.reason, event.op, event.id] : [event.kind]);

test('a create, an update, a delete and a snapshot read decode with their provenance', () => {
  const created = decode(aChange({ op: 'c', offset: 5, lsn: 99, txId: 7, commitMs: 1763805600000 }));
  assert.ok(created.kind === 'change');
  assert.deepEqual([created.op, created.id, created.offset, created.lsn, created.txId, created.commitMs], ['c', '1', 5n, '99', 7, 1763805600000]);
  const updated = decode(aChange({ op: 'u', before: anOrder(), after: anOrder({ status: 'shipped' }) }));
  assert.deepEqual(updated.kind === 'change' && updated.changed, ['status']);
  const deleted = decode(aChange({ op: 'd', before: anOrder() }));
  assert.equal(deleted.kind === 'change' && deleted.image, null);
  assert.equal(decode(aChange({ op: 'r' })).kind, 'change');
  assert.equal(decode(aTombstone(1)).kind, 'tombstone');
});

test('an incremental-snapshot read takes its LSN from the sequence', () => {
  const event = withValue((value: Record<string, Record<string, unknown>>) => Object.assign(value['source']!, { lsn: null, txId: null, sequence: '[null,"1234"]' }));
  assert.deepEqual(event.kind === 'change' && [event.lsn, event.txId], ['1234', null]);
});

test('what is not a change of this table is rejected with what could be read of it', () => {
  assert.deepEqual(rejection(decode(aRecord({ value: '{"broken' }))), ['malformed_json', null, '1']);
  assert.deepEqual(rejection(decode(aRecord({ value: '[]' }))), ['malformed_envelope', null, '1']);
  assert.deepEqual(rejection(decode(aRecord({ key: 'x', value: '{}' }))), ['malformed_envelope', null, null]);
  assert.deepEqual(rejection(decode({ ...aChange(), key: null })), ['malformed_key', 'c', null]);
  assert.deepEqual(rejection(decode(aRecord({ key: null, value: null }))), ['malformed_key', null, null]);
  assert.deepEqual(rejection(decode(aChange({ table: 'customers' }))), ['malformed_envelope', 'c', '1']);
  assert.deepEqual(rejection(withValue((value: Record<string, unknown>) => (value['op'] = 'x'))), ['unsupported_operation', null, '1']);
  assert.deepEqual(rejection(withValue((value: Record<string, unknown>) => (value['after'] = null))), ['malformed_envelope', 'c', '1']);
});

test('a position that is no whole number is rejected, not rounded', () => {
  for (const source of [{ lsn: 1.5 }, { lsn: 1e30 }, { txId: 0.5 }, { txId: 'x' }, { ts_ms: null }, { ts_ms: -1 }]) {
    const event = withValue((value: Record<string, Record<string, unknown>>) => Object.assign(value['source']!, source));
    assert.deepEqual(rejection(event), ['malformed_envelope', 'c', '1'], JSON.stringify(source));
  }
});

test('a column of another type, a missing one, one that begins with _, and another id than the key are bad columns', () => {
  for (const after of [{ total_amount: 10 }, { order_date: '22.11.2026' }, { customer_id: 'one' }, { customer_id: 1.5 }, { status: 3 }, { _c: [] }, { id: 2 }]) {
    const event = withValue((value: Record<string, Record<string, unknown>>) => Object.assign(value['after']!, after));
    assert.deepEqual(rejection(event), ['bad_column', 'c', '1'], JSON.stringify(after));
  }
  const missing = withValue((value: Record<string, Record<string, unknown>>) => delete value['after']!['status']);
  assert.deepEqual(rejection(missing), ['bad_column', 'c', '1']);
});

test('an unknown column passes through, also one named like a member of every object', () => {
  const event = withValue((value: Record<string, Record<string, unknown>>) => Object.assign(value['after']!, { constructor: 'x', extra: [1, { a: null }] }));
  assert.ok(event.kind === 'change');
  const image = imageOf(event);
  assert.deepEqual([image?.['constructor'], image?.['extra']], ['x', [1, { a: null }]]);
});

test('a TRUNCATE needs no key, and carries its place in the log', () => {
  assert.deepEqual(decode(aTruncate('orders', 7, 4711)), { kind: 'truncate', offset: 7n, op: 't', lsn: '4711', commitMs: 1763805600000, txId: 700 });
});

test('a value that PostgreSQL did not send is told in every shape, and the connector writes the same placeholder', () => {
  for (const value of [unavailableValue, Buffer.from(unavailableValue).toString('base64'), [unavailableValue], { [unavailableValue]: unavailableValue }]) {
    const event = withValue((envelope: Record<string, Record<string, unknown>>) => Object.assign(envelope['after']!, { shipping_address: value }));
    assert.ok(event.kind === 'change');
    assert.deepEqual([event.unavailable, imageOf(event)?.['shipping_address'], event.contributions.counters], [['shipping_address'], null, []]);
  }
  const connector = JSON.parse(readFileSync('debezium/connector.json', 'utf8')) as Record<string, string>;
  assert.equal(connector['unavailable.value.placeholder'], unavailableValue);
});

test('what is nested deeper than anyone can look is rejected, and a name without an end is cut', () => {
  const nested = (record: SourceRecord, open: string, close: string, times: number): SourceRecord =>
    ({ ...record, value: Buffer.from(record.value!.toString().replace('"@"', `${open.repeat(times)}1${close.repeat(times)}`)) });
  const extra = (value: unknown): Row => ({ ...anOrder(), extra: value as string });
  const deep = [nested(aChange({ after: extra('@') }), '[', ']', 20_000), nested(aChange({ op: 'u', before: extra('@'), after: extra(1) }), '{"a":', '}', 5000)];
  for (const record of deep) assert.deepEqual(rejection(decode(record)).slice(0, 1), ['malformed_envelope']);
  const long = decode(aChange({ after: { ...anOrder(), [`_${'x'.repeat(1_000_000)}`]: 1 } }));
  assert.ok(long.kind === 'rejected' && long.detail.length < 200);
});

test('no bytes make decoding throw', () => {
  const json = fc.json().map((text) => Buffer.from(text));
  const bytes = fc.uint8Array().map((array) => Buffer.from(array));
  const part = fc.option(fc.oneof(json, bytes, fc.constantFrom(...[aChange(), aChange({ op: 'd', before: anOrder() })].map(({ value }) => value!))));
  fc.assert(
    fc.property(part, part, (key, value) => {
      const record = { offset: 1n, timestampMs: '0', key, value };
      assert.ok(['change', 'tombstone', 'rejected'].includes(decode(record).kind));
      decodeHeartbeat(record);
    }),
  );
});
