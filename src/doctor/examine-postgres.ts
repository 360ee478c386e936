/** PostgreSQL: whether each role can log in, then what the first of them sees. */
import { access, maintenanceDatabase } from '../access.ts';
import { connectPostgres, type PostgresOptions } from '../adapters/postgres.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { judge, ok, problem, type Finding, type Moment, type Verdict } from './check.ts';
import { postgresChecks } from './postgres-checks.ts';
import { readPostgresFacts } from './postgres-facts.ts';

interface Role {
  /** The setting that holds its password. */
  setting: string;
  /** What the role can be told with: its name, and the command that sets its password. */
  options: Omit<PostgresOptions, 'name'>;
}

/** Before a start only the administrator can be there. What is not set here is not needed here: a container knows its own passwords only. */
function rolesOf(settings: Settings, moment: Moment): Role[] {
  const owner: Role[] = settings.POSTGRES_PASSWORD || moment === 'before' ? [{ setting: 'POSTGRES_PASSWORD', options: access.owner(settings, moment === 'before' ? maintenanceDatabase : undefined) }] : [];
  if (moment === 'before') return owner;
  const others = [
    ['SLUICE_READER_PASSWORD', access.reader],
    ['SLUICE_REPLICATION_PASSWORD', access.replication],
    ['SLUICE_WRITER_PASSWORD', access.writer],
  ] as const;
  return [...owner, ...others.filter(([setting], i) => settings[setting] || (i === 0 && owner.length === 0)).map(([setting, optionsOf]) => ({ setting, options: optionsOf(settings) }))];
}

export async function examinePostgres(settings: Settings, moment: Moment): Promise<Finding[]> {
  const roles = rolesOf(settings, moment);
  const logins = await Promise.all(roles.map((role) => logIn(role)));
  const findings: Finding[] = logins.map((verdict, i) => ({ subject: 'postgres', check: `login ${roles[i]!.options.user}`, ...verdict }));
  const first = logins.findIndex(({ level }) => level === 'ok');
  if (first < 0) return findings;
  const db = connectPostgres({ ...roles[first]!.options, name: 'sluice-doctor', max: 1 });
  try {
    return [...findings, ...judge('postgres', postgresChecks, await readPostgresFacts(db, settings.PG_SLOT_KEEP_MB), moment)];
  } finally {
    await db.close();
  }
}

/** Throws when the server does not answer at all. */
async function logIn({ setting, options }: Role): Promise<Verdict> {
  const db = connectPostgres({ ...options, name: 'sluice-doctor', max: 1 });
  try {
    await db.query('SELECT 1');
    return ok('logged in');
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'postgres_refused') throw error;
    const { user, database } = options;
    return problem(error.message, fixOf(String(error.details['sqlstate']), { setting, user, database }) ?? 'PostgreSQL says what it wants; its log says more.');
  } finally {
    await db.close();
  }
}

/** By SQLSTATE, what to do about a login that was refused. */
function fixOf(sqlstate: string, { setting, user, database }: { setting: string; user: string; database: string }): string | undefined {
  const fixes: Record<string, string> = {
    '28P01': `Set ${setting} to the password of ${user}, or give the role that password: ALTER ROLE ${user} LOGIN PASSWORD '…'; a start does so for the roles of the pipeline: npx sluice up`,
    '28000': `Let ${user} log in: ALTER ROLE ${user} LOGIN; and a line in pg_hba.conf: host ${database} ${user} <this machine>/32 scram-sha-256 (hostssl with POSTGRES_TLS=require or verify-full)`,
    '3D000': `Set POSTGRES_DB to the source database, or make it: CREATE DATABASE ${database};`,
    '42501': `GRANT CONNECT ON DATABASE ${database} TO ${user};`,
  };
  return fixes[sqlstate];
}
