/**
 * Brings the source schema up to date: every numbered file of sql/ once, in order, each in its own transaction.
 * Invariant: what was applied is what the repository holds; a changed file is refused, never half applied.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, Queryable } from '../adapters/postgres.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

const advisoryLock = 7_364_001; // any constant: whoever migrates this database takes the same one

/** Applies what is missing from `dir` and returns the names it applied. Safe to call again, and from two processes at once. */
export async function migrate(db: Database, dir: string): Promise<string[]> {
  const files = readMigrations(dir);
  await locked(db, (tx) =>
    tx.query(`CREATE SCHEMA IF NOT EXISTS sluice;
      CREATE TABLE IF NOT EXISTS sluice.migrations
        (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`),
  );
  const applied: string[] = [];
  for (const file of files) if (await locked(db, (tx) => apply(tx, file, files))) applied.push(file.name);
  return applied;
}

function readMigrations(dir: string): Migration[] {
  const fileNames = readdirSync(dir).filter((name) => /^\d{3}_\w+\.sql$/.test(name)).sort();
  return fileNames.map((name) => {
    const sql = readFileSync(join(dir, name), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

const locked = <T>(db: Database, work: (tx: Queryable) => Promise<T>): Promise<T> =>
  db.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [advisoryLock]);
    return work(tx);
  });

async function apply(tx: Queryable, file: Migration, files: Migration[]): Promise<boolean> {
  const history = await tx.query<{ name: string; checksum: string }>('SELECT name, checksum FROM sluice.migrations ORDER BY name');
  for (const done of history) {
    const known = files.find(({ name }) => name === done.name);
    if (known?.checksum === done.checksum) continue;
    throw new PipelineError(
      'migration_changed',
      known
        ? `sql/${done.name} was changed after it was applied: restore the file and put the change into a new numbered file`
        : `sql/${done.name} was applied to this database but is not in this release: run the release that has it`,
      { details: { file: done.name } },
    );
  }
  if (history.some(({ name }) => name === file.name)) return false;
  await tx.query(file.sql);
  await tx.query('INSERT INTO sluice.migrations (name, checksum) VALUES ($1, $2)', [file.name, file.checksum]);
  return true;
}

/** Gives the three roles their passwords. The server and its log see SCRAM verifiers only. */
export async function setRolePasswords(db: Database, passwords: Record<'replication' | 'reader' | 'writer', Secret>): Promise<void> {
  for (const [role, password] of Object.entries(passwords)) {
    await db.query(`ALTER ROLE sluice_${role} PASSWORD '${scramVerifier(password, randomBytes(16))}'`);
  }
}

/** RFC 5802 / 7677 as PostgreSQL stores it. Passwords are printable ASCII (src/config.ts), so SASLprep changes nothing. */
export function scramVerifier(password: Secret, salt: Buffer, iterations = 4096): string {
  const salted = pbkdf2Sync(password.reveal(), salt, iterations, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}
