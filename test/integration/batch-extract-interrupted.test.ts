/**
 * Goal: an extraction that is cut short ends its sessions, leaves nothing and says what happens next; nobody changes what it reads.
 * Method: a staging area that stops the extraction at its first file, while something happens to it.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { extract } from '../../src/batch/extract.ts';
import type { Staging } from '../../src/batch/staging.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { type ExtractionLab, openExtractionLab, sourceRows } from '../extraction.ts';
import type { TestShop } from '../postgres.ts';
import { until } from '../stack.ts';

let lab: ExtractionLab;
before(async () => {
  lab = await openExtractionLab();
});
after(() => lab.close());

/** Staging that stops at its first file until it is told to go on. */
function haltingStaging(): { halting: Staging; reached: Promise<void>; goOn: () => void } {
  let [reach, goOn] = [(): void => undefined, (): void => undefined];
  const reached = new Promise<void>((resolve) => (reach = resolve));
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  const halting = {
    ...lab.staging,
    put: async (...file: Parameters<Staging['put']>) => {
      reach();
      await gate;
      await lab.staging.put(...file);
    },
  };
  return { halting, reached, goOn: () => goOn() };
}

const sessions = async ({ owner }: TestShop, where: string): Promise<number> =>
  Number((await owner.query<{ n: string }>(`SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND ${where}`))[0]?.n);
const reading = `usename = 'sluice_reader'`;

test('a TRUNCATE waits for the extraction, which does not see it', async () => {
  const shop = await lab.postgres.openShop();
  const { halting, reached, goOn } = haltingStaging();
  const asked = lab.options(shop, { staging: halting });
  const expected = await sourceRows(shop.owner);
  const extracted = extract(asked);
  await reached;
  // One that joins behind the TRUNCATE would not wait for it.
  await until('the lead and both readers hold their locks', async () => (await sessions(shop, `${reading} AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'public.order_items'::regclass AND mode = 'AccessShareLock')`)) === 3);
  const truncated = shop.owner.query('TRUNCATE customers, orders, order_items');
  await until('TRUNCATE waits', async () => (await sessions(shop, `wait_event_type = 'Lock'`)) === 1);
  goOn();
  await extracted;
  await truncated;
  assert.deepEqual(await lab.stagedRows(asked.set), expected);
});

async function fillWide({ owner }: TestShop): Promise<void> {
  await owner.query(`INSERT INTO customers (id, first_name, last_name, email) SELECT i, repeat(md5(i::text), 600), '', 'w' || i FROM generate_series(100, 3000) i`);
}
const wide = { pageRows: 100_000, pageBytes: 100_000 };

test('an abort in the middle of a COPY ends the sessions on the server, leaves no scratch file and tells its reason', async () => {
  const shop = await lab.postgres.openShop();
  await fillWide(shop);
  const { halting, reached } = haltingStaging();
  const stop = new AbortController();
  const extracted = extract(lab.options(shop, { ...wide, staging: halting, signal: stop.signal }));
  await reached;
  await until('a COPY waits for its reader', async () => (await sessions(shop, `${reading} AND query LIKE 'COPY%' AND wait_event = 'ClientWrite'`)) > 0);
  const reason = new Error('cancelled');
  stop.abort(reason);
  await assert.rejects(extracted, reason);
  await until('no session is left', async () => (await sessions(shop, `${reading} AND state <> 'idle'`)) === 0, 5000);
  assert.deepEqual(readdirSync(lab.scratchDir), []);
  await extract(lab.options(shop, { pageRows: 100_000, pageBytes: 2 ** 25 }));
});

test('an abort ends a query that sends nothing', async () => {
  const shop = await lab.postgres.openShop();
  const stop = new AbortController();
  const asked = shop.reader.snapshot((tx) => tx.query('SELECT pg_sleep(50)'), { signal: stop.signal });
  const rejected = assert.rejects(asked, { name: 'AbortError' });
  await until('it runs', async () => (await sessions(shop, `${reading} AND query LIKE '%pg_sleep%'`)) === 1);
  stop.abort();
  await rejected;
  await until('it has ended', async () => (await sessions(shop, `${reading} AND query LIKE '%pg_sleep%'`)) === 0, 5000);
});

test('a failing store ends the readers too', async () => {
  const shop = await lab.postgres.openShop();
  await fillWide(shop);
  const failing = { ...lab.staging, put: () => Promise.reject(new PipelineError('staging_full', 'full')) };
  await assert.rejects(extract(lab.options(shop, { ...wide, staging: failing })), (error) => error instanceof PipelineError && error.code === 'staging_full');
  await until('no session is left', async () => (await sessions(shop, `${reading} AND state <> 'idle'`)) === 0, 5000);
  assert.deepEqual(readdirSync(lab.scratchDir), []);
});

test('a server that goes away makes an error that is tried again, and the set is not sealed', async () => {
  const shop = await lab.postgres.openShop();
  await fillWide(shop);
  const { halting, reached, goOn } = haltingStaging();
  const asked = lab.options(shop, { ...wide, staging: halting });
  const extracted = extract(asked);
  const rejected = assert.rejects(extracted, (error) => error instanceof PipelineError && error.code === 'postgres_unavailable' && error.action === 'retry');
  await reached;
  await lab.postgres.restart();
  goOn();
  await rejected;
  assert.deepEqual(readdirSync(lab.scratchDir), []);
  await assert.rejects(lab.staging.fetch(asked.set, join(lab.scratchDir, 'lost')), (error) => error instanceof PipelineError && error.code === 'staging_lost');
  await extract(lab.options(shop, { pageRows: 100_000, pageBytes: 2 ** 25 }));
});

test('a snapshot whose transaction has ended is an error that is tried again', async () => {
  const shop = await lab.postgres.openShop();
  const snapshot = await shop.owner.snapshot((tx) => tx.exportSnapshot());
  await assert.rejects(extract(lab.options(shop, { snapshot })), (error) => error instanceof PipelineError && error.code === 'postgres_unavailable');
});
