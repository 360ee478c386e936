/** What PostgreSQL says about itself, for `postgres-checks.ts`. Asks only; any role that may log in may ask. */
import type { Database } from '../adapters/postgres.ts';
import { tables } from '../domain/tables/registry.ts';
import { slotName, type PostgresFacts } from './postgres-checks.ts';

interface ServerRow {
  version: number;
  walLevel: string;
  inRecovery: boolean;
  slotsUsed: number;
  slotsMax: number;
  sendersUsed: number;
  sendersMax: number;
  slotKeepMb: number;
  nowMs: string;
}

const serverSql = `SELECT current_setting('server_version_num')::int AS "version", current_setting('wal_level') AS "walLevel", pg_is_in_recovery() AS "inRecovery",
  (SELECT count(*)::int FROM pg_replication_slots) AS "slotsUsed", current_setting('max_replication_slots')::int AS "slotsMax",
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'walsender') AS "sendersUsed", current_setting('max_wal_senders')::int AS "sendersMax",
  (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS "slotKeepMb",
  (extract(epoch FROM clock_timestamp()) * 1000)::text AS "nowMs"`;

const slotSql = `SELECT active, coalesce(wal_status, 'unknown') AS "walStatus",
  (CASE WHEN pg_is_in_recovery() THEN 0 ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) END)::float8 AS "retainedBytes"
  FROM pg_replication_slots WHERE slot_name = $1`;

const publicationSql = `SELECT pubinsert, pubupdate, pubdelete, pubtruncate,
  (SELECT coalesce(array_agg(schemaname || '.' || tablename), '{}') FROM pg_publication_tables WHERE pubname = p.pubname) AS tables
  FROM pg_publication p WHERE pubname = $1`;

/** `(role, privilege, kind, object)`: what sql/003_roles.sql and later files give. */
const grants = [
  ...tables.flatMap(({ name: table }) => [
    ['sluice_replication', 'SELECT', 'table', `public.${table}`],
    ['sluice_reader', 'SELECT', 'table', `public.${table}`],
    ...['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((privilege) => ['sluice_writer', privilege, 'table', `public.${table}`]),
    ['sluice_writer', 'USAGE', 'sequence', `public.${table}_id_seq`],
  ]),
  ...['cdc.heartbeat', 'cdc.signal'].flatMap((table) => ['SELECT', 'INSERT', 'UPDATE'].map((privilege) => ['sluice_replication', privilege, 'table', table])),
  ['sluice_replication', 'EXECUTE', 'function', 'cdc.forget_signals(text)'],
  ['sluice_reader', 'SELECT', 'table', 'cdc.heartbeat'],
  ...['sluice_replication', 'sluice_reader', 'sluice_writer'].map((role) => [role, 'USAGE', 'schema', 'public']),
  ...['sluice_replication', 'sluice_reader'].map((role) => [role, 'USAGE', 'schema', 'cdc']),
  ['sluice_reader', 'EXECUTE', 'function', 'pg_control_system()'],
] as const;

const grantsSql = `SELECT role, privilege, kind, object FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS wanted (role, privilege, kind, object)
  WHERE to_regrole(role) IS NULL OR NOT coalesce(CASE kind
    WHEN 'table' THEN has_table_privilege(to_regrole(role), to_regclass(object), privilege)
    WHEN 'sequence' THEN has_sequence_privilege(to_regrole(role), to_regclass(object), privilege)
    WHEN 'schema' THEN has_schema_privilege(to_regrole(role), to_regnamespace(object), privilege)
    ELSE has_function_privilege(to_regrole(role), to_regprocedure(object), privilege) END, false)`;

export async function readPostgresFacts(db: Database, slotKeepWantedMb: number): Promise<PostgresFacts> {
  const askedMs = Date.now();
  const [server] = await db.query<ServerRow>(serverSql);
  const clockAheadMs = Number(server!.nowMs) - (askedMs + Date.now()) / 2;
  const [slot] = await db.query<NonNullable<PostgresFacts['slot']>>(slotSql, [slotName]);
  const [publication] = await db.query<Record<string, unknown> & { tables: string[] }>(publicationSql, [slotName]);
  const identities = await db.query<{ name: string; identity: string }>(
    `SELECT n.nspname || '.' || c.relname AS name, c.relreplident::text AS identity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')`,
  );
  return {
    ...server!,
    clockAheadMs,
    slots: { used: server!.slotsUsed, max: server!.slotsMax },
    senders: { used: server!.sendersUsed, max: server!.sendersMax },
    slot: slot ?? null,
    published: publication?.tables ?? null,
    unpublished: publication ? ['insert', 'update', 'delete', 'truncate'].filter((name) => publication[`pub${name}`] !== true) : [],
    identities: Object.fromEntries(identities.map(({ name, identity }) => [name, identity])),
    missingGrants: await readMissingGrants(db),
    slotKeepWantedMb,
  };
}

/** As statements. A role that does not exist, or may not replicate, is the first of them. */
async function readMissingGrants(db: Database): Promise<string[]> {
  const columns = [0, 1, 2, 3].map((i) => grants.map((grant) => grant[i]));
  const missing = await db.query<{ role: string; privilege: string; kind: string; object: string }>(grantsSql, columns);
  const [replication] = await db.query<{ may: boolean }>(
    `SELECT rolreplication OR rolsuper OR EXISTS (SELECT FROM pg_roles managed WHERE managed.rolname = 'rds_replication' AND pg_has_role(r.oid, managed.oid, 'MEMBER')) AS may FROM pg_roles r WHERE rolname = 'sluice_replication'`,
  );
  const inKind = (kind: string): string => (kind === 'table' ? '' : `${kind.toUpperCase()} `);
  return [
    ...(replication?.may === true ? [] : ['ALTER ROLE sluice_replication REPLICATION;']),
    ...missing.map(({ role, privilege, kind, object }) => `GRANT ${privilege} ON ${inKind(kind)}${object} TO ${role};`),
  ];
}
