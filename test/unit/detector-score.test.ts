/** Goal: `sluice detector score` reads what people have, says what it cannot read, and never holds more than a little of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { after, test } from 'node:test';
import { scoreCsv } from '../../src/cli/detector.ts';
import { plainColumns, readHeader, readPoint } from '../../src/domain/detector/read-point.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-detector-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function scored(text: string, json = false): Promise<{ lines: string[]; problem: string | undefined }> {
  const out: string[] = [];
  const sink = new Writable({ write: (part: Buffer, _encoding, done) => (out.push(String(part)), done()) });
  const problem = await scoreCsv(Readable.from([Buffer.from(text)]), sink, json);
  return { lines: out.join('').split('\n').slice(0, -1), problem };
}

const timeOf = (text: string): unknown => {
  const point = readPoint(`${text},1`, plainColumns);
  return typeof point === 'string' ? point : new Date(point.timestampMs).toISOString();
};

test('times are read in every usual form, without a zone as UTC', () => {
  const same = ['2026-11-22T10:00:00Z', '2026-11-22 10:00:00', '2026-11-22T12:00:00+02:00', '2026-11-22 04:30:00-0530', '2026-11-22T10:00', '1795341600', '1795341600000', '1795341600000000', '1.7953416e9', '"2026-11-22 10:00:00"'];
  for (const text of same) assert.equal(timeOf(text), '2026-11-22T10:00:00.000Z', text);
  assert.equal(timeOf('2026-11-22'), '2026-11-22T00:00:00.000Z');
  assert.equal(timeOf('2026-11-22 10:00:00.250'), '2026-11-22T10:00:00.250Z');
  assert.equal(timeOf('17'), '1970-01-01T00:00:17.000Z');
  for (const text of ['', 'yesterday', '2026-13-01', '2026-02-30', '2026-11-22 25:00:00', '22.11.2026']) assert.match(String(timeOf(text)), /is no time/, text);
});

test('values are decimal or scientific; nothing and NaN are missing; anything else is told', () => {
  const valueOf = (text: string): unknown => {
    const point = readPoint(`1,${text}`, plainColumns);
    return typeof point === 'string' ? point : point.value;
  };
  assert.deepEqual(['1', '-1.5', '1e3', '2.5E-2', '.5', '+7', ' 8 ', '"9"'].map(valueOf), [1, -1.5, 1000, 0.025, 0.5, 7, 8, 9]);
  assert.deepEqual(['', 'NaN', 'null', 'NA', '-inf'].map(valueOf), Array.from({ length: 5 }, () => Number.NaN));
  for (const text of ['abc', '1;2', '0x10', '1_000']) assert.match(String(valueOf(text)), /is no number/, text);
});

test('a header is seen by its words and names the columns; a first line that is a point is none', () => {
  assert.deepEqual(readHeader('timestamp,value'), plainColumns);
  assert.deepEqual(readHeader('value,is_anomaly,Timestamp'), { timestamp: 2, value: 0 });
  assert.deepEqual(readHeader('when,how much'), plainColumns);
  assert.equal(readHeader('2026-11-22 10:00:00,5'), undefined);
  assert.equal(readHeader('5,NaN'), undefined);
});

test('both fields come out as they went in, and columns beyond them are left out', async () => {
  const { lines, problem } = await scored('timestamp,value,label\n2026-11-22 10:00:00,1.50e2,0\n 1795341660 ,1.50e2,1\n');
  assert.equal(problem, undefined);
  assert.deepEqual(lines, ['timestamp,value,anomaly_score', '2026-11-22 10:00:00,1.50e2,0.000000', ' 1795341660 ,1.50e2,0.000000']);
});

test('a byte order mark, CRLF, blank lines and a missing end of line change nothing; a file without points is a header', async () => {
  const plain = (await scored('timestamp,value\n1,2\n2,3\n')).lines;
  assert.deepEqual((await scored('\uFEFFtimestamp,value\r\n\r\n1,2\r\n2,3')).lines, plain);
  assert.deepEqual((await scored('1,2\n2,3\n\n\n')).lines, plain);
  for (const text of ['', '\n', '\uFEFF', 'timestamp,value']) assert.deepEqual(await scored(text), { lines: ['timestamp,value,anomaly_score'], problem: undefined });
});

test('a bad line is told by its number, and what stood before it was scored', async () => {
  const { lines, problem } = await scored('timestamp,value\n1,2\n\n2,x\n3,4\n');
  assert.match(problem ?? '', /^line 4: "x" is no number/);
  assert.equal(lines.length, 2);
  assert.match((await scored('1\n')).problem ?? '', /^line 1: .*separated by a comma/);
  assert.match((await scored(`1,${'9'.repeat(3_000_000)}`)).problem ?? '', /^line 1: a line of more than a million characters/);
});

test('as JSON each line is an object with the band and the reason', async () => {
  const { lines } = await scored('1,2\n2,NaN\n', true);
  assert.deepEqual(lines.map((line) => JSON.parse(line) as unknown), [
    { timestamp: '1', value: 2, anomaly_score: 0, expected: null, reason: 'warming-up' },
    { timestamp: '2', value: null, anomaly_score: 0, expected: null, reason: 'invalid' },
  ]);
});

test('a slow reader holds the reading back', async () => {
  let read = 0;
  const input = Readable.from((function* () {
    for (read = 0; read < 1000; read += 1) yield Buffer.from(`${read},1\n`.repeat(1000));
  })());
  let release = (): void => undefined;
  const slow = new Writable({ highWaterMark: 1024, write: (_part, _encoding, done) => (release = done) });
  const run = scoreCsv(input, slow, false);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.ok(read < 50, String(read));
  slow.destroy();
  release();
  assert.equal(await run, undefined);
});

/** Runs the command as a process. */
async function sluice(args: string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main/cli.ts', 'detector', 'score', ...args]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (part) => (out += String(part)));
  child.stderr.on('data', (part) => (err += String(part)));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('the command reads a file or stdin, ends with 2 on what it cannot read, and bears a reader that goes away', async () => {
  assert.deepEqual(await sluice(['-'], '1,2\n'), { code: 0, out: 'timestamp,value,anomaly_score\n1,2,0.000000\n', err: '' });
  const missing = await sluice([join(folder, 'nowhere.csv')]);
  assert.deepEqual([missing.code, /no such file/.test(missing.err)], [2, true]);
  const bad = await sluice(['-'], '1,2\nx,3\n');
  assert.deepEqual([bad.code, bad.out.split('\n').length, /line 2/.test(bad.err)], [2, 3, true]);
  assert.equal((await sluice([folder])).code, 2);

  const big = join(folder, 'big.csv');
  writeFileSync(big, Array.from({ length: 200_000 }, (_, i) => `${i},1\n`).join(''));
  const head = spawn(process.execPath, ['--import', 'tsx', 'src/main/cli.ts', 'detector', 'score', big], { stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  head.stderr.on('data', (part) => (err += String(part)));
  await once(head.stdout, 'data');
  head.stdout.destroy();
  assert.deepEqual([await once(head, 'close'), err], [[0, null], '']);
});
