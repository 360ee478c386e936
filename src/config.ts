/**
 * The only reader of the environment. Every setting is one line of one schema: type, default, unit, meaning.
 * Invariant: `.env.example` is printed from this schema, so a setting that is not documented cannot exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { Secret } from './domain/secret.ts';
import { unsound } from './domain/setting-pairs.ts';

const environment: Record<string, string | undefined> = process.env;

const portNumber = (fallback: number) => z.coerce.number().int().min(1).max(65535).default(fallback);
const count = (fallback: number, min: number, max: number) => z.coerce.number().int().min(min).max(max).default(fallback);
const secret = () =>
  z
    .string()
    .min(1)
    .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces')
    .transform((text) => new Secret(text))
    .optional();
/** An address that may hold a token: as secret as a password. */
const secretUrl = () =>
  z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces')
    .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) && new URL(text).username === '', 'an address such as https://example.org/hook, without user and password')
    .transform((text) => new Secret(text))
    .optional();
/** At most so many, by comma; one without a port has this one. */
const hostPorts = (port: number, most: number) =>
  z
    .string()
    .regex(new RegExp(`^([A-Za-z0-9._-]+(:\\d{1,5})?(,(?!$)|$)){1,${most}}$`), 'host:port, without scheme')
    .transform((text) => text.split(',').map((one) => (one.includes(':') ? one : `${one}:${port}`)).join(','))
    .optional();
const hostName = () => z.string().regex(/^([A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/, 'a host name or address alone, without scheme and port').optional();
const onOff = () => z.enum(['on', 'off']).default('off');
const file = () => z.string().min(1).optional();
const identifier = (fallback: string) =>
  z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, 'a lower-case SQL identifier')
    .default(fallback);

export const consumersMax = 16;

/** One entry per setting. Durations and sizes carry their unit last in the name. */
export const settings = {
  SLUICE_DATA_DIR: z.string().min(1).default('.sluice').describe('Folder that holds all data, logs and generated secrets'),
  SLUICE_TOOLS_DIR: z.string().min(1).default('.sluice-tools').describe('Folder for the fetched servers; shared by stacks, kept by reset'),
  SLUICE_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('Least severe level that is logged'),
  SLUICE_READY_FILE: z.string().min(1).optional().describe('File that a process of ours makes when it does its work, for the health check of its container'),
  SLUICE_FAILPOINT_DIR: z.string().min(1).optional().describe('Tests only: folder whose files make a process die or stop at a named point'),

  POSTGRES_HOST: hostName().describe('PostgreSQL that is there already; without it the stack starts one on 127.0.0.1'),
  POSTGRES_PORT: portNumber(15432).describe('PostgreSQL; with POSTGRES_HOST the default is 5432'),
  POSTGRES_DB: identifier('source_db').describe('Name of the source database'),
  POSTGRES_USER: identifier('postgres').describe('Owner of the source database (superuser of the embedded server); a former one can no longer log in'),
  POSTGRES_TLS: z.enum(['off', 'require', 'verify-full']).default('off').describe('TLS to POSTGRES_HOST; require encrypts and trusts whoever answers, verify-full also checks certificate and host name'),
  POSTGRES_TLS_CA_FILE: file().describe('Certificates that POSTGRES_TLS=verify-full trusts, PEM; without it those of Node.js. Kafka Connect reads the same path where it runs'),
  KAFKA_BROKER: hostPorts(9092, 100).describe('Kafka that is there already, host:port, several by comma; without it the stack starts one on 127.0.0.1'),
  KAFKA_PORT: portNumber(19092).describe('Kafka broker on 127.0.0.1'),
  KAFKA_TLS: onOff().describe('TLS to KAFKA_BROKER; certificate and host name are checked'),
  KAFKA_TLS_CA_FILE: file().describe('Certificates that KAFKA_TLS trusts, PEM; without it those of Node.js'),
  KAFKA_SASL_MECHANISM: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional().describe('How we log in at KAFKA_BROKER; without it nobody does'),
  KAFKA_SASL_USERNAME: z.string().min(1).optional().describe('User or API key for KAFKA_SASL_MECHANISM'),
  KAFKA_SASL_PASSWORD: secret().describe('Password or API secret of KAFKA_SASL_USERNAME'),
  CONNECT_URL: z
    .url({ protocol: /^https?$/, error: 'an address such as http://connect:8083' })
    .refine((text) => !URL.canParse(text) || new URL(text).username === '', 'an address without user and password: Kafka Connect is reached without')
    .transform((text) => text.replace(/\/+$/, ''))
    .optional()
    .describe('REST address of a Kafka Connect with Debezium that is there already; without it the stack starts one on 127.0.0.1'),
  CONNECT_PORT: portNumber(18083).describe('Kafka Connect REST on 127.0.0.1'),
  CONNECT_POSTGRES_HOST: hostName().describe('Host under which Kafka Connect reaches PostgreSQL, where it is another than ours'),
  CONNECT_POSTGRES_PORT: z.coerce.number().int().min(1).max(65535).optional().describe('Port on CONNECT_POSTGRES_HOST; without it POSTGRES_PORT'),
  REDIS_HOST: hostName().describe('Redis that is there already; without it the stack starts one on 127.0.0.1'),
  REDIS_PORT: portNumber(16379).describe('Redis; with REDIS_HOST the default is 6379'),
  REDIS_TLS: onOff().describe('TLS to REDIS_HOST; certificate and host name are checked'),
  REDIS_TLS_CA_FILE: file().describe('Certificates that REDIS_TLS trusts, PEM; without it those of Node.js'),
  REDIS_CLUSTER: onOff().describe('Whether REDIS_HOST is a node of a Redis Cluster; needs REDIS_KEY_PREFIX'),
  REDIS_KEY_PREFIX: z
    .string()
    .regex(/^(\{[A-Za-z0-9_-]+\}:)?$/, 'empty, or a hash tag such as {shop}:')
    .default('')
    .describe('Put before every key; a hash tag such as {shop}: keeps one pipeline in one Redis Cluster slot'),
  TEMPORAL_ADDRESS: hostPorts(7233, 1).describe('Temporal that is there already, host:port; without it the stack starts one on 127.0.0.1'),
  TEMPORAL_PORT: portNumber(17233).describe('Temporal gRPC on 127.0.0.1'),
  TEMPORAL_UI_PORT: portNumber(18233).describe('Temporal Web on 127.0.0.1'),
  TEMPORAL_TLS: onOff().describe('TLS to TEMPORAL_ADDRESS; certificate and host name are checked'),
  TEMPORAL_TLS_CA_FILE: file().describe('Certificates that TEMPORAL_TLS trusts, PEM; without it those of the system'),
  TEMPORAL_TLS_CERT_FILE: file().describe('Our certificate for TEMPORAL_TLS, PEM, where the server asks for one'),
  TEMPORAL_TLS_KEY_FILE: file().describe('Key of TEMPORAL_TLS_CERT_FILE, PEM'),
  TEMPORAL_API_KEY: secret().describe('API key of Temporal Cloud, sent with every call'),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default').describe('Temporal namespace'),

  POSTGRES_PASSWORD: secret().describe('Password of POSTGRES_USER; generated for a server that is started here'),
  SLUICE_REPLICATION_PASSWORD: secret().describe('Password of role sluice_replication (Debezium); generated for a server that is started here'),
  SLUICE_READER_PASSWORD: secret().describe('Password of role sluice_reader (verify, batch); generated for a server that is started here'),
  SLUICE_WRITER_PASSWORD: secret().describe('Password of role sluice_writer (generator); generated for a server that is started here'),
  REDIS_PASSWORD: secret().describe('Password of the Redis default (admin) user; generated for a server that is started here'),
  SLUICE_REDIS_PASSWORD: secret().describe('Password of the Redis user sluice-consumer; generated for a server that is started here'),

  TOPIC_PREFIX: z.string().regex(/^[A-Za-z0-9_-]+$/).default('ecommerce').describe('First part of every change topic'),
  TOPIC_PARTITIONS: count(4, 1, 256).describe('Partitions of each change topic; must not change under a running pipeline'),
  TOPIC_RETENTION_HOURS: count(168, 1, 1_000_000).describe('How long Kafka keeps changes, hours; applied when the topics are made (first start)'),
  EVENT_BYTES_MAX: count(16 * 1024 * 1024, 1024 * 1024, 128 * 1024 * 1024).describe(
    'Largest change event that may travel, bytes; an update carries its row twice (before and after). A larger one stops the connector',
  ),
  CDC_BATCH_ROWS_MAX: count(1000, 1, 2000).describe('Most events one commit may hold'),
  CDC_BATCH_BYTES_MAX: count(8 * 1024 * 1024, 64 * 1024, 128 * 1024 * 1024).describe('Most event bytes one commit may hold (one larger event is a batch of its own)'),
  CDC_CHANGES_MAX: count(100, 0, 1000).describe('Entries kept in each cdc:changes:<table> stream'),
  KAFKA_SESSION_TIMEOUT_MS: count(10_000, 6_000, 300_000).describe('A silent consumer loses its partitions after this, milliseconds'),
  KAFKA_INSTANCE_ID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,200}$/, 'up to 200 letters, digits, dots, dashes or underscores')
    .optional()
    .describe('Name of this consumer process in its group, no two alike: one that returns under it within KAFKA_SESSION_TIMEOUT_MS goes on, the others do not stop; the stack names its own'),
  SLUICE_CDC_CONSUMERS: count(1, 1, consumersMax).describe('CDC consumer processes the stack runs; they share the partitions'),
  WATCHDOG_STALL_MS: count(60_000, 5_000, 86_400_000).describe('A consumer whose offsets stand still this long with work waiting is re-created, milliseconds'),
  HEARTBEAT_INTERVAL_MS: count(2_000, 500, 600_000).describe('Interval of the heartbeat row that travels the whole pipeline, milliseconds'),
  CONNECTOR_SILENT_MS: count(60_000, 5_000, 86_400_000).describe(
    'A connector of which nothing arrives for this long although it says RUNNING is restarted, milliseconds; never before six heartbeats are missing. Connect itself takes up to 30 s to call a failed task FAILED',
  ),
  HEARTBEAT_CHECK_SECONDS: count(30, 10, 86_400).describe('Interval of the pipelineHeartbeat workflow, seconds'),
  PG_SLOT_KEEP_MB: count(4096, 64, 16 * 1024 * 1024).describe('PostgreSQL keeps at most this much WAL for a stopped pipeline (max_slot_wal_keep_size), MiB'),

  BATCH_INTERVAL_SECONDS: count(60, 10, 31 * 86_400).describe('Interval of the scheduled batch, seconds; its windows end at whole multiples of it'),
  BATCH_WINDOW_HOURS: count(24, 1, 24 * 366).describe('Length of the window of a scheduled batch, hours'),
  BATCH_FAILURES_MOST: count(5, 1, 10_000).describe('The schedule of the batch is paused after so many failed runs in a row'),
  BATCH_KEEP_SECONDS: count(300, 10, 31 * 86_400).describe('How long the records of a run stay that another one has taken the place of, seconds'),
  BATCH_BACKFILL_KEEP_HOURS: count(720, 1, 24 * 366 * 10).describe('How long the records of a backfilled window stay, hours'),
  WORKER_METRICS_PORT: z.coerce.number().int().min(0).max(65535).default(17464).describe("Metrics of the worker for Prometheus, on 127.0.0.1; 0 for none"),
  BATCH_POSTGRES_HOST: z.string().min(1).optional().describe('Host the batch extracts from, such as a read replica of the source; without it the source itself'),
  BATCH_POSTGRES_PORT: z.coerce.number().int().min(1).max(65535).optional().describe('Port on BATCH_POSTGRES_HOST; without it POSTGRES_PORT'),
  BATCH_EXTRACT_READERS: count(2, 1, 16).describe('Connections that read the source at once while a batch extracts'),
  BATCH_PAGE_ROWS: count(500_000, 1000, 10_000_000).describe('Most rows one query of the extraction reads (more only where ids repeat)'),
  BATCH_PAGE_BYTES: count(16 * 1024 * 1024, 1024 * 1024, 512 * 1024 * 1024).describe(
    'Most bytes of one staged page before compression (one larger row is a page of its own); DuckDB reads a page as a whole, so keep it well below BATCH_MEMORY_MB',
  ),
  BATCH_STATEMENT_TIMEOUT_SECONDS: count(600, 1, 86_400).describe('The source ends a query of the extraction after this, seconds'),
  BATCH_MEMORY_MB: count(256, 128, 1024 * 1024).describe('Memory DuckDB may use in a batch run before it spills to disk, MiB; the process takes some 320 more'),
  BATCH_STAGING: z.enum(['redis', 'directory']).default('redis').describe('Where extracted data wait for the next step: in Redis, or in BATCH_STAGING_DIR'),
  BATCH_STAGING_DIR: z.string().min(1).optional().describe('Folder for BATCH_STAGING=directory, the same for every worker; without it staging in SLUICE_DATA_DIR'),
  BATCH_STAGING_BYTES_MAX: count(1024 * 1024 * 1024, 1024 * 1024, 1024 ** 4).describe('Most bytes one extraction may stage in Redis; more needs BATCH_STAGING=directory'),
  BATCH_STAGING_TTL_HOURS: count(6, 1, 24 * 30).describe('Staged data that nobody dropped are gone after this, hours'),

  SLUICE_STREAM: z.enum(['on', 'off']).default('on').describe('Whether the stack runs the stream and alerts consumers: figures by minute of event time, anomalies, alerts'),
  STREAM_ALLOWED_LATENESS_MS: count(120_000, 0, 86_400_000).describe('A minute of the stream closes this long after its end in event time, milliseconds; what comes later is counted as late'),
  STREAM_BUFFER_SIZE: count(1000, 1, 2000).describe('Most events one batch of the stream may hold'),
  HIGH_VALUE_ORDER_THRESHOLD: z
    .string()
    .regex(/^\d{1,10}(\.\d{1,2})?$/, 'an amount such as 1000.00')
    .default('1000.00')
    .describe('An order of more than this is told (high_value_order)'),
  BULK_ORDERS_MAX: count(10, 1, 10_000).describe('More orders of one customer within 60 s are told (bulk_orders)'),
  STOCK_DEPLETION_UNITS_MAX: count(50, 1, 1_000_000).describe('More units of one product sold within 60 s are told (rapid_stock_depletion)'),
  LOW_STOCK_BELOW: count(10, 1, 1_000_000).describe('A stock that falls below this is told until it is restocked (low_stock), units'),
  GEO_SHARE_PERCENT: count(80, 1, 99).describe("A larger share of a minute's new customers from one state is told (geographic_anomaly), percent"),
  GEO_CUSTOMERS_MIN: count(6, 1, 1_000_000).describe('With fewer new customers in the minute geographic_anomaly says nothing'),
  ORDER_RATE_WARM_MINUTES: count(50, 5, 10_000).describe('order_rate says nothing before it has learnt from so many closed minutes; a few are enough for a try, and cost false alerts'),
  ALERT_GAP_SECONDS: count(300, 1, 86_400).describe('Crossings of one rule and entity that are at most this far apart are one episode, seconds of event time; less than ALERT_QUIET_SECONDS'),
  ALERT_WEBHOOK_URL: secretUrl().describe('Address that is told of alerts as CloudEvents, signed with ALERT_WEBHOOK_SECRET; without it no webhook'),
  ALERT_WEBHOOK_SECRET: secret().describe('Key of the signature X-Sluice-Signature; needed with ALERT_WEBHOOK_URL'),
  ALERT_SLACK_URL: secretUrl().describe('Address of a Slack incoming webhook, or of what takes the same; without it no Slack'),
  ALERT_ROUTES_FILE: z.string().min(1).optional().describe('JSON file that says who is told of which alert; without it every configured channel is'),
  ALERT_ESCALATE_L2_SECONDS: count(300, 1, 31 * 86_400).describe('A HIGH alert that nobody has acknowledged goes to level 2 after this, seconds'),
  ALERT_ESCALATE_L3_SECONDS: count(900, 1, 31 * 86_400).describe('And to level 3 after this, seconds; more than ALERT_ESCALATE_L2_SECONDS'),
  ALERT_QUIET_SECONDS: count(1800, 1, 31 * 86_400).describe('An alert without another occurrence for this long is resolved, seconds; low_stock and batch_failed are not, their source says when they are over'),
  ALERT_DELIVERY_SECONDS: count(240, 5, 86_400).describe('How long a channel that does not take a notice is tried, seconds; then the others are told that it fails'),
  ALERT_TIMEOUT_MS: count(10_000, 100, 20_000).describe('How long one attempt waits for the answer of a channel, milliseconds'),
  ALERT_STORM_MOST: count(10, 1, 1_000_000).describe('When more alerts of one type come within a minute, the others are told as one'),
  ALERT_MAX_AGE_MS: count(6 * 3_600_000, 60_000, 31 * 86_400_000).describe('An alert about something older than this starts nothing, milliseconds; less than the retention of the Temporal namespace'),

  SLUICE_GENERATOR: z.enum(['on', 'off']).default('on').describe('Whether the stack runs the mock data generator'),
  MOCK_DATA_RECORDS_PER_BATCH: count(10, 1, 10_000).describe('Shop actions the generator makes per batch'),
  MOCK_DATA_INTERVAL_SECONDS: z.coerce.number().min(0.01).max(3600).default(1).describe('Pause between generator batches, seconds'),
  MOCK_DATA_SEED: count(42, 0, Number.MAX_SAFE_INTEGER).describe('Seed of the generated shop: the same seed makes the same shop'),
} as const;

export const settingsSchema = z.object(settings);
export type Settings = z.infer<typeof settingsSchema>;

/** A setting that is missing or malformed. `message` has one line per setting: name, what was wrong, its meaning. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** Settings whose value is a secret: `<NAME>_FILE` may name a file that holds it. */
export const secretNames = [
  'POSTGRES_PASSWORD',
  'SLUICE_REPLICATION_PASSWORD',
  'SLUICE_READER_PASSWORD',
  'SLUICE_WRITER_PASSWORD',
  'REDIS_PASSWORD',
  'SLUICE_REDIS_PASSWORD',
] as const;
export type SecretName = (typeof secretNames)[number];

/** Secrets that only an operator can know: never generated, in force when this start was given them. */
export const givenSecretNames = ['ALERT_WEBHOOK_URL', 'ALERT_WEBHOOK_SECRET', 'ALERT_SLACK_URL', 'KAFKA_SASL_PASSWORD', 'TEMPORAL_API_KEY'] as const;
const allSecretNames = [...secretNames, ...givenSecretNames];

/** Where the passwords in force are recorded. */
export const secretsFile = (dataDir: string): string => resolve(dataDir, 'secrets.env');

/** Reads a dotenv file; absent means empty. */
export function readEnvFile(path: string): Record<string, string> {
  return existsSync(path) ? (parseEnv(readFileSync(path, 'utf8')) as Record<string, string>) : {};
}

/** What a child process may inherit: our environment without the secrets (Node processes read secrets.env themselves). */
export function inheritedEnvironment(): Record<string, string> {
  const hidden = new Set<string>(allSecretNames.flatMap((name) => [name, `${name}_FILE`]));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !hidden.has(name))) as Record<string, string>;
}

/** The resolved settings as environment variables, secrets left out. */
export function settingsEnvironment(loaded: Settings): Record<string, string> {
  return Object.fromEntries(
    Object.entries(loaded)
      .filter(([, value]) => value !== undefined && !(value instanceof Secret))
      .map(([name, value]) => [name, String(value)]),
  );
}

/** Paths are relative to `cwd`, as those of other settings. */
function withSecretFiles(env: Source, cwd: string): Source {
  const merged = { ...env };
  for (const name of allSecretNames) {
    const file = env[`${name}_FILE`];
    if (merged[name] || !file) continue;
    try {
      merged[name] = readFileSync(resolve(cwd, file), 'utf8').trim();
    } catch (error) {
      throw new ConfigError(`${name}_FILE names ${file}, which cannot be read: ${(error as Error).message}`);
    }
  }
  return merged;
}

/**
 * The settings in force. From, in falling order: the environment; for passwords what the last start recorded in
 * `secrets.env`; `.env` in `cwd`. So every process of a stack, in whichever shell, has the passwords its servers have.
 * An empty value counts as not given. Paths become absolute. Throws ConfigError naming every bad setting.
 */
export function loadSettings(env: Record<string, string | undefined> = environment, cwd = process.cwd()): Settings {
  const { given, dotenv, recorded, dataDir } = readSources(env, cwd);
  return parseSettings({ ...dotenv, ...recorded, ...given }, { said: { ...dotenv, ...given }, dataDir, cwd });
}

/** The settings that a start is to put in force: a password in `.env` goes before the recorded one, and what only an operator knows is not kept. */
export function loadStartSettings(env: Record<string, string | undefined> = environment, cwd = process.cwd()): Settings {
  const { given, dotenv, recorded, dataDir } = readSources(env, cwd);
  const kept = Object.fromEntries(Object.entries(recorded).filter(([name]) => !givenSecretNames.some((one) => one === name)));
  return parseSettings({ ...kept, ...dotenv, ...given }, { said: { ...dotenv, ...given }, dataDir, cwd });
}

type Source = Record<string, string | undefined>;

function readSources(env: Source, cwd: string): { given: Source; dotenv: Source; recorded: Source; dataDir: string } {
  const given = withSecretFiles(withoutEmpty(env), cwd);
  const dotenv = withSecretFiles(withoutEmpty(readEnvFile(resolve(cwd, '.env'))), cwd);
  const dataDir = resolve(cwd, given['SLUICE_DATA_DIR'] ?? dotenv['SLUICE_DATA_DIR'] ?? settings.SLUICE_DATA_DIR.parse(undefined));
  return { given, dotenv, recorded: withoutEmpty(readEnvFile(secretsFile(dataDir))), dataDir };
}

/** The ports of servers that are there already. */
const usualPorts = (values: Source): Source => ({ ...(values['POSTGRES_HOST'] && { POSTGRES_PORT: '5432' }), ...(values['REDIS_HOST'] && { REDIS_PORT: '6379' }) });

/** Settings that name a file or folder: relative to where we were started. */
const paths = ['SLUICE_TOOLS_DIR', 'BATCH_STAGING_DIR', 'ALERT_ROUTES_FILE', 'POSTGRES_TLS_CA_FILE', 'KAFKA_TLS_CA_FILE', 'REDIS_TLS_CA_FILE', 'TEMPORAL_TLS_CA_FILE', 'TEMPORAL_TLS_CERT_FILE', 'TEMPORAL_TLS_KEY_FILE'] as const;

/** `said`: without what an earlier start recorded, which need not fit what is said now. */
function parseSettings(values: Source, { said, dataDir, cwd }: { said: Source; dataDir: string; cwd: string }): Settings {
  const parsed = settingsSchema.safeParse({ ...usualPorts(values), ...values });
  const told = (name: string, message: string): string => `${name}: ${message}. ${settings[name as keyof typeof settings]?.description ?? ''}`;
  const lines = parsed.success ? unsound(parsed.data, said).map(({ setting, why }) => told(setting, why)) : parsed.error.issues.map((issue) => told(String(issue.path[0]), issue.message));
  if (!parsed.success || lines.length > 0) throw new ConfigError(`Bad configuration:\n  ${lines.join('\n  ')}\nSet it in the environment or in .env (see .env.example).`);
  const { data } = parsed;
  return { ...data, SLUICE_DATA_DIR: dataDir, ...Object.fromEntries(paths.flatMap((name) => (data[name] === undefined ? [] : [[name, resolve(cwd, data[name])]]))) };
}

function withoutEmpty(env: Record<string, string | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
}

/** The secret, or a ConfigError that says how to get it. */
export function requireSecret(loaded: Settings, name: SecretName | (typeof givenSecretNames)[number]): Secret {
  const value = loaded[name];
  const isGenerated = !givenSecretNames.some((one) => one === name);
  if (!value) throw new ConfigError(`${name} is not set. ${isGenerated ? 'Start the stack once (npm start generates it) or set it in the environment.' : 'Set it in the environment or in .env.'}`);
  return value;
}
