/**
 * Goal: what COPY wrote leaves the protocol byte for byte, and every other message reaches the driver whole, wherever the bytes break.
 * Method: random messages of rows and of other kinds, ended by the copy's end or by an error, in chunks of random sizes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRowCutter } from '../../src/adapters/postgres-copy.ts';

interface Message {
  kind: string;
  payload: Uint8Array;
}

const payload = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ minLength: 60, maxLength: 300 }));
const message: fc.Arbitrary<Message> = fc.record({ kind: fc.constantFrom('d', 'd', 'd', 'H', 'N', 'S'), payload });
const ending: fc.Arbitrary<Message[]> = fc.constantFrom(['c', 'C', 'Z'], ['E', 'Z']).map((kinds) => kinds.map((kind) => ({ kind, payload: Buffer.from('COPY 7\0') })));

function encoded({ kind, payload: bytes }: Message): Buffer {
  const head = Buffer.alloc(5, kind);
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

test('rows are moved together, other messages stay whole, and the driver gets all that follows the end', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 20 }), ending, fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 5 }), (messages, end, sizes) => {
      const bytes = Buffer.concat([...messages, ...end].map(encoded));
      const cut = createRowCutter();
      const rows: Buffer[] = [];
      const others: Buffer[] = [];
      let hasEnded = false;
      for (let at = 0, i = 0; at < bytes.length; i += 1) {
        const chunk = Buffer.from(bytes.subarray(at, (at += sizes[i % sizes.length]!)));
        if (hasEnded) {
          others.push(chunk);
          continue;
        }
        const found = cut(chunk);
        hasEnded = found.ends;
        rows.push(found.rows);
        others.push(found.others);
        if (!hasEnded && found.others.length > 0) assert.equal(found.others.length, wholeBytes(found.others));
      }
      const isRow = ({ kind }: Message): boolean => kind === 'd';
      assert.ok(hasEnded);
      assert.deepEqual(Buffer.concat(rows), Buffer.concat(messages.filter(isRow).map((one) => one.payload)));
      assert.deepEqual(Buffer.concat(others), Buffer.concat([...messages.filter((one) => !isRow(one)), ...end].map(encoded)));
    }),
  );
});

/** Bytes up to the end of the last message that begins in them. */
function wholeBytes(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) at += 1 + bytes.readUInt32BE(at + 1);
  return at;
}
