/**
 * Goal: cutting an envelope at its seams gives what parsing all of it gives, whatever rows hold. Method: random rows, with
 * columns and texts that look like seams, written as Debezium writes them; both ways must agree or the cut must decline.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import type { Row } from '../../src/domain/columns.ts';
import { cutEnvelope, readEnvelope } from '../../src/domain/envelope.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { aChange, anOrder, imageOf } from '../builders.ts';

const seams = [',"after":{"id":1}', ',"source":{"version":"x"', '{"before":null,"after":', '"},"after":null,"source":{', '\\', '"', '}', 'é\u2028\u0000'];
const text = fc.oneof(fc.constantFrom(...seams), fc.string());
const value: fc.Arbitrary<unknown> = fc.oneof(text, fc.integer(), fc.constant(null), fc.boolean(), fc.array(text, { maxLength: 2 }), fc.dictionary(fc.constantFrom('after', 'source', 'op', 'version'), fc.oneof(text, fc.constant(null)), { maxKeys: 2 }));
const columns = fc.dictionary(fc.constantFrom('after', 'before', 'source', 'op', 'transaction', 'note'), value, { maxKeys: 4 });
const change = fc.record({ op: fc.constantFrom('c', 'u', 'd', 'r'), before: columns, after: columns, address: text });

test('an envelope that is cut has the parts that parsing all of it finds', () => {
  let cut = 0;
  fc.assert(
    fc.property(change, ({ op, before, after, address }) => {
      const rows = { before: anOrder(before as Row), after: anOrder({ ...(after as Row), shipping_address: address }) };
      const json = aChange({ op: op as 'c', ...(op === 'c' || op === 'r' ? { after: rows.after } : rows) }).value!.toString();
      const whole = JSON.parse(json) as { after: unknown; before: unknown; op: string; source: { table: string; lsn: number; ts_ms: number; txId: number } };
      for (const envelope of [cutEnvelope(json), readEnvelope(json)]) {
        if (envelope === null) continue;
        cut += 1;
        assert.deepEqual(envelope.after?.row ?? null, whole.after);
        assert.deepEqual(envelope.after === null ? null : JSON.parse(envelope.after.text), whole.after);
        assert.deepEqual(envelope.before === null ? null : JSON.parse(envelope.before), whole.before);
        assert.deepEqual([envelope.op, envelope.table], [whole.op, whole.source.table]);
        assert.deepEqual(envelope.position, { lsn: String(whole.source.lsn), commitMs: whole.source.ts_ms, txId: whole.source.txId });
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(cut > 3000, `only ${cut} of 4,000 were read`);
});

test('the text of an image is what was sent, digit for digit', () => {
  const sent = aChange({ after: anOrder() });
  const json = sent.value!.toString().replace('"shipping_address":null', '"shipping_address":null,"big":9007199254740993,"real":0.1234567890123456789,"deep":{"n":[9007199254740993]}');
  const event = decodeTableEvent(orders, { ...sent, value: Buffer.from(json) });
  assert.ok(event.kind === 'change' && event.image !== null && json.includes(event.image.replace(/0\.12345678901234568/, '0.1234567890123456789')));
  assert.match(event.image, /"big":9007199254740993/);
  assert.match(event.image, /"deep":\{"n":\[9007199254740993\]\}/);
  assert.equal(imageOf(event)?.['id'], 1);
});
