/**
 * Goal: a stream of CSV is cut between rows only, wherever its chunks and values break.
 * Method: random rows as PostgreSQL writes them, random chunks, files of a few bytes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createCsvPages } from '../../src/batch/csv-pages.ts';
import { divide } from '../../src/batch/extract-plan.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-csv-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const field = fc.array(fc.constantFrom('a', '"', '\n', ',', '\r', 'é', '🦆'), { maxLength: 6 }).map((parts) => parts.join(''));
const row = fc.tuple(field, field, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })).map(([a, b, id]) => `${quoted(a)},${quoted(b)},${id}\n`);
const quoted = (text: string): string => (/[",\n\r]|^$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Cuts `bytes` into chunks of these sizes, over and over. */
function chunksOf(bytes: Buffer, sizes: number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i % sizes.length]!, i += 1) chunks.push(bytes.subarray(at, at + sizes[i % sizes.length]!));
  return chunks;
}

let paths = 0;
test('files hold whole rows, all of them in order, and the last id is told', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 100 }), async (rows, sizes, bytesMax) => {
      const files: string[] = [];
      const pages = createCsvPages(bytesMax, () => join(dir, String(paths++)), async ({ path, bytes }) => {
        files.push(readFileSync(path, 'utf8'));
        assert.equal(Buffer.byteLength(files.at(-1)!), bytes);
        rmSync(path);
      });
      for (const chunk of chunksOf(Buffer.from(rows.join('')), sizes)) await pages.take(chunk);
      const lastId = await pages.end();
      assert.equal(files.join(''), rows.join(''));
      assert.equal(lastId, rows.length === 0 ? null : rows.at(-1)!.slice(rows.at(-1)!.lastIndexOf(',') + 1, -1));
      let left = rows;
      for (const file of files) {
        let taken = '';
        while (taken.length < file.length) {
          taken += left[0];
          left = left.slice(1);
        }
        assert.equal(taken, file);
      }
    }),
    { numRuns: 300 },
  );
});

const id = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
test('ranges hold every id between the first and the last exactly once', () => {
  fc.assert(
    fc.property(id, id, fc.integer({ min: 1, max: 40 }), (a, b, wanted) => {
      const [first, last] = a < b ? [a, b] : [b, a];
      const ranges = divide(first, last, wanted);
      assert.ok(ranges.length <= wanted);
      assert.equal(ranges[0]!.from, first);
      assert.equal(ranges.at(-1)!.upto, last);
      for (const [i, { from, upto }] of ranges.entries()) {
        assert.ok(from <= upto);
        if (i > 0) assert.equal(from, ranges[i - 1]!.upto + 1n);
      }
    }),
  );
});
