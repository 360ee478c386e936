/** What PostgreSQL must be like, judged from what it says about itself. */
import { tables } from '../domain/tables/registry.ts';
import { judgeClock, ok, problem, warning, type Check } from './check.ts';

export interface PostgresFacts {
  /** server_version_num. */
  version: number;
  walLevel: string;
  inRecovery: boolean;
  /** Tables of the publication as `schema.table`; null when it does not exist. */
  published: string[] | null;
  /** Operations that the publication leaves out. */
  unpublished: string[];
  /** `schema.table` → relreplident. */
  identities: Record<string, string>;
  /** Statements that would give the roles what they lack. */
  missingGrants: string[];
  slot: { active: boolean; walStatus: string; retainedBytes: number } | null;
  slots: { used: number; max: number };
  senders: { used: number; max: number };
  /** max_slot_wal_keep_size, MiB; −1 without limit. */
  slotKeepMb: number;
  clockAheadMs: number;
  /** What the settings say it should be (PG_SLOT_KEEP_MB). */
  slotKeepWantedMb: number;
}

export const slotName = 'sluice';
const shopTables = tables.map(({ name }) => `public.${name}`);
const publishedTables = [...shopTables, 'cdc.heartbeat', 'cdc.signal'];
const oldestTried = 15;

const system = (name: string, value: string | number, then: string): string => `ALTER SYSTEM SET ${name} = '${value}'; ${then} (a managed service: its parameter group)`;
const reload = 'SELECT pg_reload_conf();';
const restart = 'then restart PostgreSQL';

export const postgresChecks: readonly Check<PostgresFacts>[] = [
  {
    name: 'version',
    judge: ({ version }) => {
      const major = Math.floor(version / 10_000);
      return major >= oldestTried ? ok(String(major)) : problem(`${major} is older than what the pipeline needs`, `Upgrade PostgreSQL to ${oldestTried} or later (pg_upgrade; tried: 17).`);
    },
  },
  {
    name: 'wal_level',
    judge: ({ walLevel }) => (walLevel === 'logical' ? ok(walLevel) : problem(`${walLevel}: changes cannot be read from the log`, system('wal_level', 'logical', restart))),
  },
  {
    name: 'primary',
    judge: ({ inRecovery }) => (inRecovery ? problem('this server is a read replica', 'Point POSTGRES_HOST at the primary; a replica may be named in BATCH_POSTGRES_HOST.') : ok('it takes writes')),
  },
  { name: 'publication', madeByStart: true, judge: judgePublication },
  {
    name: 'replica identity',
    madeByStart: true,
    judge: ({ identities }) => {
      const wrong = shopTables.filter((table) => identities[table] !== 'f');
      if (wrong.length === 0) return ok('FULL on every table');
      return problem(`not FULL: ${wrong.join(', ')}`, wrong.map((table) => `ALTER TABLE ${table} REPLICA IDENTITY FULL;`).join(' '));
    },
  },
  {
    name: 'grants',
    madeByStart: true,
    judge: ({ missingGrants }) => (missingGrants.length === 0 ? ok('the three roles have what they need') : problem('the roles lack rights', missingGrants.join(' '))),
  },
  { name: 'slot', madeByStart: true, judge: judgeSlot },
  {
    name: 'max_replication_slots',
    judge: ({ slots: { used, max }, slot }) => (slot || used < max ? ok(`${used} of ${max} in use`) : problem(`all ${max} are in use`, system('max_replication_slots', max + 2, restart))),
  },
  {
    name: 'max_wal_senders',
    judge: ({ senders: { used, max }, slot }) => (slot?.active || used < max ? ok(`${used} of ${max} in use`) : problem(`all ${max} are in use`, system('max_wal_senders', max + 2, restart))),
  },
  {
    name: 'max_slot_wal_keep_size',
    judge: ({ slotKeepMb, slotKeepWantedMb }) =>
      slotKeepMb >= 0 ? ok(`${slotKeepMb} MB`) : warning('without limit: a stopped pipeline fills the disk', system('max_slot_wal_keep_size', `${slotKeepWantedMb}MB`, reload)),
  },
  { name: 'clock', judge: ({ clockAheadMs }) => judgeClock(clockAheadMs) },
];

function judgePublication({ published, unpublished }: PostgresFacts) {
  if (published === null) return problem(`there is no publication ${slotName}`, `CREATE PUBLICATION ${slotName} FOR TABLE ${publishedTables.join(', ')} WITH (publish_via_partition_root = true);`);
  const missing = publishedTables.filter((table) => !published.includes(table));
  if (missing.length > 0) return problem(`it lacks ${missing.join(', ')}`, `ALTER PUBLICATION ${slotName} ADD TABLE ${missing.join(', ')}; then: npx sluice resync --all`);
  if (unpublished.length > 0) return problem(`it leaves out ${unpublished.join(', ')}`, `ALTER PUBLICATION ${slotName} SET (publish = 'insert, update, delete, truncate'); then: npx sluice resync --all`);
  return ok(`${published.length} tables`);
}

function judgeSlot({ slot, slotKeepMb }: PostgresFacts) {
  if (slot === null) return problem(`there is no slot ${slotName}`, 'Register the connector, which makes it: npx sluice connector apply. Was the slot dropped, read all tables again: npx sluice resync --all');
  const { active, walStatus, retainedBytes } = slot;
  const retainedMb = Math.round(retainedBytes / 1024 / 1024);
  const says = `${active ? 'active' : 'not active'}, WAL ${walStatus}, ${retainedMb} MiB retained`;
  if (walStatus === 'lost') return problem(says, 'Changes are lost: read all tables again with a new slot: npx sluice resync --all');
  if (walStatus === 'unreserved') return problem(says, `${system('max_slot_wal_keep_size', `${Math.max(slotKeepMb, retainedMb) * 2}MB`, reload)} and bring the connector back at once: npx sluice connector status`);
  if (!active) return problem(says, 'Nothing reads the slot: npx sluice connector status, then npx sluice connector restart');
  if (slotKeepMb > 0 && retainedMb > slotKeepMb / 2) return warning(says, `More than half of max_slot_wal_keep_size (${slotKeepMb} MB) waits to be read: npx sluice status shows whether the connector keeps up.`);
  return ok(says);
}
