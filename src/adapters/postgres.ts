/**
 * The only importer of the PostgreSQL driver beside the stack. Numbers beyond int4, money and times stay text, so nothing
 * is rounded. Failures leave as PipelineError by SQLSTATE; a restarted server costs the queries in flight, never the process.
 */
import { DatabaseError, Pool, type PoolClient, type QueryResult, types } from 'pg';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';
import { copyOut } from './postgres-copy.ts';
import type { TlsOptions } from './tls.ts';

export interface PostgresOptions {
  host: string;
  port: number;
  database: string;
  user: string;
  password: Secret;
  tls?: TlsOptions;
  /** application_name: shown in pg_stat_activity. */
  name: string;
  /** Most connections; default 4. */
  max?: number;
  statementTimeoutMs?: number;
}

export interface Queryable {
  /** Rows of the (last) statement. Several statements in one text are allowed when there are no parameters. */
  query<T extends object>(sql: string, params?: unknown[]): Promise<T[]>;
}

export interface SnapshotReader extends Queryable {
  /** Name under which others join this moment, as long as this transaction is open. */
  exportSnapshot(): Promise<string>;
  /**
   * Streams the rows of `select` as CSV (NULL is nothing, an empty text `""`). `take` gets the bytes as they come, cut anywhere, and
   * the next when it has resolved. Returns the number of rows. After a failure, its own or that of `take`, the transaction is over.
   */
  copyCsv(select: string, values: CopiedValues, take: (chunk: Buffer) => Promise<void>): Promise<number>;
}

/** `bare`: numbers and times, none of which is ever quoted. The server then prints the same without looking at each for what to quote, a fifth faster. */
export type CopiedValues = 'quoted' | 'bare';

const copyFormats: Record<CopiedValues, string> = { quoted: `FORMAT csv`, bare: `FORMAT text, DELIMITER ',', NULL ''` };

export interface SnapshotOptions {
  /** Locked against ALTER and TRUNCATE first: both would empty the table for a snapshot taken before them. */
  tables?: readonly string[];
  /** The moment of another open transaction instead of now; then a table that somebody waits to change is not waited for, but `postgres_unavailable`. */
  join?: string;
  /** Ends the connection and with it what runs on the server; its reason is thrown. */
  signal?: AbortSignal;
}

export interface Database extends Queryable {
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Read-only at one moment (REPEATABLE READ): every query of `work` sees the same state. Takes one connection of the pool until it ends. */
  snapshot<T>(work: (tx: SnapshotReader) => Promise<T>, options?: SnapshotOptions): Promise<T>;
  close(): Promise<void>;
}

const { TIMESTAMP, TIMESTAMPTZ, DATE } = types.builtins;
for (const oid of [TIMESTAMP, TIMESTAMPTZ, DATE]) types.setTypeParser(oid, (text: string) => text);

/** A pool that connects on first use and again after the server was away. */
export function connectPostgres(options: PostgresOptions): Database {
  const pool = new Pool({
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.user,
    password: () => options.password.reveal(),
    ...(options.tls && { ssl: { host: options.host, rejectUnauthorized: options.tls.verify !== false, ...(options.tls.ca && { ca: options.tls.ca }) } }), // `host`: what the certificate must be made out to, an address too
    application_name: options.name,
    max: options.max ?? 4,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000, // a host that vanished is noticed within half a minute instead of hours
    options: '-c TimeZone=UTC -c DateStyle=ISO',
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
  });
  // A connection that breaks while idle tells it by an event, and the next query gets a new one: nothing to do here.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  const begin = async <T>(start: string, work: (tx: SnapshotReader) => Promise<T>, { join, signal }: SnapshotOptions = {}): Promise<T> => {
    signal?.throwIfAborted();
    const client = await guard(() => pool.connect());
    const hangUp = (): void => void client.end();
    signal?.addEventListener('abort', hangUp, { once: true });
    try {
      await query(client, start).catch((error: unknown) => {
        throw join === undefined ? error : aboutJoining(error);
      });
      const result = await work(readerOn(client));
      await query(client, 'COMMIT');
      client.release();
      return result;
    } catch (error) {
      // A connection that cannot even roll back is thrown away; the first error is the one to tell.
      await query(client, 'ROLLBACK').then(
        () => client.release(),
        () => client.release(true),
      );
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', hangUp);
    }
  };

  return {
    query: (sql, params) => query(pool, sql, params),
    transaction: (work) => begin('BEGIN', work),
    snapshot: (work, options = {}) => begin(snapshotStart(options), work, options),
    close: () => pool.end(),
  };
}

/**
 * Locks come before the snapshot. The server looks every second whether we are still there: a query that sends nothing would not
 * notice that its client has gone. One that holds an exported snapshot is idle by intention.
 */
function snapshotStart({ tables = [], join }: SnapshotOptions): string {
  if (join !== undefined && !/^[0-9A-F-]+$/.test(join)) throw new PipelineError('bad_argument', `${join} is not the name of a snapshot`);
  return [
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    ...(join === undefined ? [] : [`SET TRANSACTION SNAPSHOT '${join}'`]),
    'SET LOCAL client_connection_check_interval = 1000',
    'SET LOCAL idle_in_transaction_session_timeout = 0',
    ...(tables.length === 0 ? [] : [`LOCK TABLE ${tables.map((table) => `public.${table}`).join(', ')} IN ACCESS SHARE MODE${join === undefined ? '' : ' NOWAIT'}`]),
  ].join('; ');
}

/** SQLSTATEs of a snapshot whose transaction has ended: an attempt that exports its own takes a new one. */
export const snapshotGone = ['42704', '22023', '55000'];

function aboutJoining(error: unknown): unknown {
  if (!(error instanceof PipelineError) || !snapshotGone.includes(String(error.details['sqlstate']))) return error;
  return new PipelineError('postgres_unavailable', 'The snapshot to be joined is gone: the transaction that held it has ended.', { details: error.details });
}

function readerOn(client: PoolClient): SnapshotReader {
  const reader: SnapshotReader = {
    query: (sql, params) => query(client, sql, params),
    exportSnapshot: async () => (await reader.query<{ name: string }>('SELECT pg_export_snapshot() AS name'))[0]!.name,
    copyCsv: (select, values, take) =>
      guard(async () => {
        try {
          return await copyOut(client, `COPY (${select}) TO STDOUT (${copyFormats[values]})`, take);
        } catch (error) {
          void client.end(); // half-read, it can be used for nothing else
          throw error;
        }
      }),
  };
  return reader;
}

function query<T extends object>(on: Pool | PoolClient, sql: string, params?: unknown[]): Promise<T[]> {
  return guard(async () => {
    const result: QueryResult<T> | QueryResult<T>[] = await on.query(sql, params);
    return [result].flat().at(-1)?.rows ?? [];
  });
}

async function guard<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof TypeError || error instanceof PipelineError ? error : translate(error);
  }
}

/** Classes and codes after which the same query may succeed: connection, resources, deadlock, shutdown, time-out. */
const passing = /^(08|53|40|55P03|57)/;

/** The driver's error is not kept as cause: its detail quotes the row, and rows hold personal data. */
function translate(error: unknown): PipelineError {
  if (!(error instanceof DatabaseError)) {
    const text = error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
    return new PipelineError('postgres_unavailable', `PostgreSQL is not reachable (POSTGRES_PORT): ${text}`, { cause: error });
  }
  const sqlstate = error.code ?? 'unknown';
  const details = { sqlstate, table: error.table, constraint: error.constraint };
  if (passing.test(sqlstate)) return new PipelineError('postgres_unavailable', `PostgreSQL gave up for now (${sqlstate}): ${error.message}`, { details });
  const reason = sqlstate.startsWith('22') ? 'a value does not fit its type' : error.message;
  return new PipelineError('postgres_refused', `PostgreSQL refused a statement (${sqlstate}): ${reason}`, { details });
}
