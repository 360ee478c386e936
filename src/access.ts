/**
 * Where each server is and as whom our programs log in: the only place that knows.
 * A server whose address is given is somebody else's: it is used, never started or stopped.
 */
import { resolve } from 'node:path';
import { kafkaSecurity, postgresTls, redisTls, temporalSecurity } from './access-tls.ts';
import { requireSecret, type SecretName, type Settings } from './config.ts';

/** Where the servers that the stack starts listen. */
export const loopback = '127.0.0.1';

/** Of each server the setting that gives its address, and the passwords it knows. */
export const servers = {
  postgres: { label: 'PostgreSQL', address: 'POSTGRES_HOST', secrets: ['POSTGRES_PASSWORD', 'SLUICE_REPLICATION_PASSWORD', 'SLUICE_READER_PASSWORD', 'SLUICE_WRITER_PASSWORD'] },
  kafka: { label: 'Kafka', address: 'KAFKA_BROKER', secrets: [] },
  connect: { label: 'Kafka Connect', address: 'CONNECT_URL', secrets: [] },
  redis: { label: 'Redis', address: 'REDIS_HOST', secrets: ['REDIS_PASSWORD', 'SLUICE_REDIS_PASSWORD'] },
  temporal: { label: 'Temporal', address: 'TEMPORAL_ADDRESS', secrets: [] },
} as const satisfies Record<string, { label: string; address: keyof Settings; secrets: SecretName[] }>;
export type ServerName = keyof typeof servers;
export const serverNames = Object.keys(servers) as ServerName[];

/** False when it is the stack's own to start. */
export const isGiven = (loaded: Settings, server: ServerName): boolean => loaded[servers[server].address] !== undefined;

/** The always present database of a PostgreSQL server: from it the others are made. */
export const maintenanceDatabase = 'postgres';

/** The Redis user of the consumers. Pipelines that share a Redis have one each, named by their prefix. */
export const consumerUser = ({ REDIS_KEY_PREFIX: prefix }: Settings): string => ['sluice-consumer', ...(/[\w-]+/.exec(prefix) ?? [])].join('-');

export const access = {
  /** PostgreSQL, its administrator; `database` instead of the source. */
  owner: (loaded: Settings, database = loaded.POSTGRES_DB) => ({ ...postgres(loaded), database, user: loaded.POSTGRES_USER, password: requireSecret(loaded, 'POSTGRES_PASSWORD') }),
  /** PostgreSQL, reading only. */
  reader: (loaded: Settings) => ({ ...postgres(loaded), user: 'sluice_reader', password: requireSecret(loaded, 'SLUICE_READER_PASSWORD') }),
  /** PostgreSQL or its read replica, for extraction: a connection per reader, one that holds their snapshot, one to spare. */
  batchReader: (loaded: Settings) => ({
    ...access.reader(loaded),
    ...(loaded.BATCH_POSTGRES_HOST && { host: loaded.BATCH_POSTGRES_HOST }),
    ...(loaded.BATCH_POSTGRES_PORT && { port: loaded.BATCH_POSTGRES_PORT }),
    max: loaded.BATCH_EXTRACT_READERS + 1,
    statementTimeoutMs: loaded.BATCH_STATEMENT_TIMEOUT_SECONDS * 1000,
  }),
  /** PostgreSQL, rows of the shop only. */
  writer: (loaded: Settings) => ({ ...postgres(loaded), user: 'sluice_writer', password: requireSecret(loaded, 'SLUICE_WRITER_PASSWORD') }),
  /** PostgreSQL, signals to the connector and its slot only. */
  replication: (loaded: Settings) => ({ ...postgres(loaded), user: 'sluice_replication', password: requireSecret(loaded, 'SLUICE_REPLICATION_PASSWORD') }),
  /** PostgreSQL as Kafka Connect reaches it. */
  connectorSource: (loaded: Settings) => ({ host: loaded.CONNECT_POSTGRES_HOST ?? postgres(loaded).host, port: loaded.CONNECT_POSTGRES_PORT ?? loaded.POSTGRES_PORT }),
  /** Redis, the pipeline's keys only. */
  replica: (loaded: Settings) => ({ ...redis(loaded), user: consumerUser(loaded), password: requireSecret(loaded, 'SLUICE_REDIS_PASSWORD') }),
  /** Redis, its administrator. */
  redisAdmin: (loaded: Settings) => ({ ...redis(loaded), user: 'default', password: requireSecret(loaded, 'REDIS_PASSWORD') }),
  /** The folder of BATCH_STAGING=directory. */
  stagingDir: (loaded: Settings): string => loaded.BATCH_STAGING_DIR ?? resolve(loaded.SLUICE_DATA_DIR, 'staging'),
  kafka: (loaded: Settings) => ({ brokers: access.brokers(loaded), ...kafkaSecurity(loaded) }),
  brokers: (loaded: Settings): string[] => loaded.KAFKA_BROKER?.split(',') ?? [`${loopback}:${loaded.KAFKA_PORT}`],
  connectUrl: (loaded: Settings): string => loaded.CONNECT_URL ?? `http://${loopback}:${loaded.CONNECT_PORT}`,
  temporal: (loaded: Settings) => ({ address: loaded.TEMPORAL_ADDRESS ?? `${loopback}:${loaded.TEMPORAL_PORT}`, namespace: loaded.TEMPORAL_NAMESPACE, ...temporalSecurity(loaded) }),
};

/** Where everything is, for a person; only a Temporal of ours is known to have its web interface. */
export const urlsOf = (loaded: Settings): Record<ServerName, string> & { temporalWeb?: string } => ({
  ...(!isGiven(loaded, 'temporal') && { temporalWeb: `http://${loopback}:${loaded.TEMPORAL_UI_PORT}` }),
  connect: access.connectUrl(loaded),
  postgres: `postgresql://${loaded.POSTGRES_USER}@${postgres(loaded).host}:${loaded.POSTGRES_PORT}/${loaded.POSTGRES_DB}`,
  redis: `redis://${redis(loaded).host}:${loaded.REDIS_PORT}`,
  kafka: access.brokers(loaded).join(','),
  temporal: access.temporal(loaded).address,
});

const postgres = (loaded: Settings) => ({ host: loaded.POSTGRES_HOST ?? loopback, port: loaded.POSTGRES_PORT, database: loaded.POSTGRES_DB, ...postgresTls(loaded) });
const redis = (loaded: Settings) => ({ host: loaded.REDIS_HOST ?? loopback, port: loaded.REDIS_PORT, ...(loaded.REDIS_CLUSTER === 'on' && { clusterPrefix: loaded.REDIS_KEY_PREFIX }), ...redisTls(loaded) });
