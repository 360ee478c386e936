/**
 * The only importer of the PostgreSQL driver beside the stack. Numbers beyond int4, money and times stay text, so nothing
 * is rounded. Failures leave as PipelineError by SQLSTATE; a restarted server costs the queries in flight, never the process.
 */
import { DatabaseError, Pool, type PoolClient, type QueryResult, types } from 'pg';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';

export interface PostgresOptions {
  host: string;
  port: number;
  database: string;
  user: string;
  password: Secret;
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

export interface Database extends Queryable {
  /** Commits when `work` resolves, rolls back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Read-only at one moment (REPEATABLE READ): every query of `work` sees the same state. */
  snapshot<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
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
    application_name: options.name,
    max: options.max ?? 4,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    options: '-c TimeZone=UTC',
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
  });
  // A connection that breaks while idle tells it by an event, and the next query gets a new one: nothing to do here.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  const begin = async <T>(start: string, work: (tx: Queryable) => Promise<T>): Promise<T> => {
    const client = await guard(() => pool.connect());
    try {
      await query(client, start);
      const result = await work({ query: (sql, params) => query(client, sql, params) });
      await query(client, 'COMMIT');
      client.release();
      return result;
    } catch (error) {
      // A connection that cannot even roll back is thrown away; the first error is the one to tell.
      await query(client, 'ROLLBACK').then(
        () => client.release(),
        () => client.release(true),
      );
      throw error;
    }
  };

  return {
    query: (sql, params) => query(pool, sql, params),
    transaction: (work) => begin('BEGIN', work),
    snapshot: (work) => begin('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work),
    close: () => pool.end(),
  };
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
    throw error instanceof TypeError ? error : translate(error);
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
