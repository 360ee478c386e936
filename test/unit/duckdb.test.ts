/** Goal: what DuckDB answers and refuses arrives as the contract says: exact integers, no value of a row in a failure, and an end when asked. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type DuckDb, openDuckDb, sqlText } from '../../src/adapters/duckdb.ts';
import { PipelineError } from '../../src/domain/errors.ts';

let dir: string;
let db: DuckDb;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'duckdb-'));
  db = await openDuckDb({ dir, memoryMb: 64, threads: 2 });
});
after(async () => {
  await db.close();
  await rm(dir, { recursive: true });
});

const endless = 'SELECT sum(hash(a.range) % 7 + b.range) FROM range(10_000_000) a, range(10_000_000) b';

async function refusal(sql: string): Promise<PipelineError> {
  const error: unknown = await db.run(sql).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof PipelineError);
  return error;
}

test('integers of every width are exact, other values what they are', async () => {
  const [row] = await db.rows(`SELECT 1::TINYINT a, -2::INTEGER b, 9223372036854775807 c, 170141183460469231731687303715884105727::HUGEINT d, 0.5::DOUBLE e, 'x' f, true g, NULL h`);
  assert.deepEqual(row, { a: 1n, b: -2n, c: 2n ** 63n - 1n, d: 2n ** 127n - 1n, e: 0.5, f: 'x', g: true, h: null });
});

test('a type that has no exact counterpart is to be cast', async () => {
  await assert.rejects(db.rows('SELECT 1.5::DECIMAL(4, 2)'), /DECIMAL\(4,2\).*cast it/);
});

test('a text is quoted as it is', async () => {
  const text = `O'Brien "\\"; DROP TABLE x --\n`;
  assert.deepEqual(await db.rows(`SELECT ${sqlText(text)} AS text`), [{ text }]);
});

test('several statements run in order, and the last one answers', async () => {
  assert.deepEqual(await db.rows('CREATE OR REPLACE TEMP TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2); SELECT count(*) AS n FROM t'), [{ n: 2n }]);
});

test('rows come in batches that together are all of them', async () => {
  const sizes: number[] = [];
  let sum = 0n;
  for await (const batch of db.batches<{ n: bigint }>('SELECT range AS n FROM range(5000)')) {
    sizes.push(batch.length);
    for (const { n } of batch) sum += n;
  }
  assert.equal(sum, 12_497_500n);
  assert.ok(sizes.length > 1 && Math.max(...sizes) <= 2048, String(sizes));
});

test('a failure names its class and never the value that made it', async () => {
  await db.run(`CREATE OR REPLACE TEMP TABLE people AS SELECT 'Ada Secret' AS name, 9223372036854775807 AS phone`);
  const failing = [
    'SELECT name::INTEGER FROM people',
    'SELECT name::TIMESTAMP FROM people',
    'SELECT phone + phone FROM people',
    'SELECT phone::INTEGER FROM people',
    'SELECT error(name) FROM people',
    `SELECT strptime(name, '%Y') FROM people`,
    'CREATE TEMP TABLE once (name VARCHAR PRIMARY KEY); INSERT INTO once SELECT name FROM people; INSERT INTO once SELECT name FROM people',
  ];
  for (const sql of failing) {
    const { code, message, cause, details } = await refusal(sql);
    assert.equal(code, 'duckdb_refused');
    assert.doesNotMatch(JSON.stringify([message, cause, details]), /Secret|9223372036854775807/);
    assert.match(message, /\(\w.* Error\).*withheld/);
  }
});

test('a mistake in the SQL is told as DuckDB words it, without the statement', async () => {
  const { code, message } = await refusal(`SELECT 'Secret' FROM nowhere`);
  assert.equal(code, 'duckdb_refused');
  assert.match(message, /Table with name nowhere does not exist/);
  assert.doesNotMatch(message, /Secret/);
});

test('a file that cannot be written names the disk, and may be tried again', async () => {
  const { code, action, message } = await refusal(`COPY (SELECT 1) TO ${sqlText(join(dir, 'missing', 'x.parquet'))}`);
  assert.deepEqual([code, action], ['duckdb_disk', 'retry']);
  assert.match(message, /missing\/x\.parquet/);
});

test('memory that runs out names its setting', async () => {
  const { code, action, message } = await refusal('SELECT list(range) FROM range(50_000_000)');
  assert.deepEqual([code, action], ['duckdb_out_of_memory', 'pause']);
  assert.match(message, /64 MiB \(BATCH_MEMORY_MB\)/);
});

test('an abort ends a statement at once with its reason, and the next one runs', async () => {
  const stop = new AbortController();
  const running = db.rows(endless, stop.signal);
  setImmediate(() => stop.abort(new Error('no longer wanted')));
  await assert.rejects(running, /no longer wanted/);
  assert.deepEqual(await db.rows('SELECT 1 AS n'), [{ n: 1n }]);
});

test('an abort before the start runs nothing, and one between batches ends the reading', async () => {
  await assert.rejects(db.run('CREATE TEMP TABLE never (n INTEGER)', AbortSignal.abort(new Error('too late'))), /too late/);
  assert.deepEqual(await db.rows(`SELECT table_name FROM duckdb_tables() WHERE table_name = 'never'`), []);

  const stop = new AbortController();
  const read = async (): Promise<void> => {
    for await (const batch of db.batches('SELECT range AS n FROM range(1_000_000)', stop.signal)) if (batch.length > 0) stop.abort(new Error('enough'));
  };
  await assert.rejects(read(), /enough/);
});

test('closing ends what runs', async () => {
  const other = await openDuckDb({ dir: join(dir, 'other'), memoryMb: 64, threads: 1 });
  const running = other.rows(endless);
  const ended = assert.rejects(running, /closed/);
  await other.close();
  await ended;
  await assert.rejects(other.rows('SELECT 1'), /closed/);
});
