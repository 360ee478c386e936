/** Goal: the detector is one pass, deterministic, restorable and never out of range, whatever the series. Method: random and hostile series. */
import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { scoreCsv } from '../../src/cli/detector.ts';
import { alertScore, createDetector, type Point, type Verdict } from '../../src/domain/detector/detector.ts';
import type { DetectorState } from '../../src/domain/detector/state.ts';

const value = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1e99, -1e99, 1e-300, -0, Number.MAX_VALUE) },
);
const gapMs = fc.oneof({ weight: 8, arbitrary: fc.constant(60_000) }, { weight: 2, arbitrary: fc.constantFrom(0, -5_000, 1, 3_600_000, 90 * 86_400_000) });
const series = fc.array(fc.record({ value, gapMs }), { maxLength: 160 }).map((steps): Point[] => {
  let timestampMs = 1_700_000_000_000;
  return steps.map((step) => ({ timestampMs: (timestampMs += step.gapMs), value: step.value }));
});
const judge = (points: Point[]): Verdict[] => points.map(createDetector().observe);

test('a score is from 0 to 1, a band is in order, an invalid point scores nothing, and nobody is alarmed before it is warm', () => {
  fc.assert(
    fc.property(series, (points) => {
      judge(points).forEach(({ score, expected, reason }, i) => {
        assert.ok(score >= 0 && score <= 1, String(score));
        if (expected) assert.ok(expected.low <= expected.high && Number.isFinite(expected.low) && Number.isFinite(expected.high));
        if (reason === 'above') assert.ok(points[i]!.value > expected!.high - Math.abs(expected!.high) * 1e-9);
        if (reason === 'below') assert.ok(points[i]!.value < expected!.low + Math.abs(expected!.low) * 1e-9);
        if (!(Math.abs(points[i]!.value) <= 1e100)) assert.deepEqual([score, reason], [0, 'invalid']);
        if (i < 50) assert.ok(score < alertScore);
      });
    }),
  );
});

test('the verdicts of a prefix are the prefix of the verdicts', () => {
  fc.assert(fc.property(series, fc.nat({ max: 160 }), (points, length) => assert.deepEqual(judge(points.slice(0, length)), judge(points).slice(0, length))));
});

test('a detector restored from JSON at any point goes on as if nothing had been between', () => {
  fc.assert(
    fc.property(series, fc.nat({ max: 160 }), (points, at) => {
      const first = createDetector();
      const begun = points.slice(0, at).map(first.observe);
      const restored = createDetector({}, JSON.parse(JSON.stringify(first.state())) as DetectorState);
      assert.deepEqual([...begun, ...points.slice(at).map(restored.observe)], judge(points));
    }),
  );
});

test('invalid points change nothing about the others', () => {
  fc.assert(
    fc.property(series, (points) => {
      const valid = points.filter(({ value }) => Math.abs(value) <= 1e100);
      assert.deepEqual(judge(points).filter(({ reason }) => reason !== 'invalid'), judge(valid));
    }),
  );
});

/** Runs the command over this text, cut into chunks of any size. */
async function scored(text: string, chunk: number): Promise<string[]> {
  const bytes = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, i) => bytes.subarray(i * chunk, (i + 1) * chunk));
  const out: string[] = [];
  const sink = new Writable({ write: (part: Buffer, _encoding, done) => (out.push(String(part)), done()) });
  assert.equal(await scoreCsv(Readable.from(chunks), sink, false), undefined);
  return out.join('').split('\n');
}

test('a file scores the same however it is cut into chunks, and a prefix of its lines scores as the prefix', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 90 }), fc.integer({ min: 1, max: 200 }), fc.nat({ max: 90 }), async (values, chunk, keep) => {
      const lines = values.map((value, i) => `${1_700_000_000 + i * 60},${value}`);
      const whole = await scored(lines.join('\n'), chunk);
      assert.deepEqual(whole, await scored(`\uFEFFtimestamp,value\r\n${lines.join('\r\n')}\r\n\r\n`, 7));
      const kept = Math.min(keep, lines.length);
      assert.deepEqual((await scored(lines.slice(0, kept).join('\n'), chunk)).slice(0, kept + 1), whole.slice(0, kept + 1));
    }),
    { numRuns: 50 },
  );
});
