/**
 * Open-loop load as a process of its own: one INSERT per transaction, begun at its time whatever happened to those before.
 * Tells for each order when it was due and when its COMMIT was acknowledged, in microseconds of the monotonic clock.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connectPostgres } from '../../src/adapters/postgres.ts';
import { loadSettings, requireSecret } from '../../src/config.ts';

export interface LoadTask {
  perSecond: number;
  seconds: number;
  /** Of every order; without it some tens to hundreds. */
  amount?: string;
  /** The first of as many customers as there are orders; without it orders are nobody's. */
  firstCustomer?: number;
}

export interface LoadDone {
  ids: number[];
  dueUs: number[];
  committedUs: number[];
}

const { perSecond, seconds, amount, firstCustomer } = JSON.parse(process.argv[2]!) as LoadTask;
const settings = loadSettings();
const db = connectPostgres({
  host: '127.0.0.1',
  port: settings.POSTGRES_PORT,
  database: settings.POSTGRES_DB,
  user: 'sluice_writer',
  password: requireSecret(settings, 'SLUICE_WRITER_PASSWORD'),
  name: 'bench-load',
  max: 16,
});
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);
const insert = `INSERT INTO orders (total_amount, customer_id, status, shipping_address) VALUES ($1, $2, 'pending', '742 Evergreen Terrace, Springfield, IL 62704') RETURNING id`;

const done: LoadDone = { ids: [], dueUs: [], committedUs: [] };
const place = async (n: number, dueUs: number): Promise<void> => {
  const [row] = await db.query<{ id: number }>(insert, [amount ?? `${10 + (n % 900)}.99`, firstCustomer === undefined ? null : firstCustomer + n]);
  done.committedUs.push(nowUs());
  done.ids.push(row!.id);
  done.dueUs.push(dueUs);
};

await Promise.all(Array.from({ length: 16 }, () => db.query('SELECT pg_sleep(0.2)'))); // connections are not part of the load
const startUs = nowUs();
const running: Promise<void>[] = [];
for (let n = 0; n < perSecond * seconds; ) {
  const dueUs = startUs + Math.round((n * 1e6) / perSecond);
  if (dueUs > nowUs()) await delay(1);
  else {
    running.push(place(n, dueUs));
    n += 1;
  }
}
await Promise.all(running);
await db.close();
process.send!(done, () => process.disconnect()); // a channel that closes earlier cuts a long message
