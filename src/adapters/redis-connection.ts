/**
 * How a client of Redis is made: one server or a cluster, plain or over TLS. It reconnects for ever with back-off.
 * All keys of a pipeline are in one slot of a cluster (they begin with a hash tag), so both kinds take the same commands.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import type { Secret } from '../domain/secret.ts';
import type { TlsOptions } from './tls.ts';

export interface RedisOptions {
  host: string;
  port: number;
  /** ACL user; `default` is the admin. */
  user: string;
  password: Secret;
  /** Shown in CLIENT LIST. */
  name: string;
  tls?: TlsOptions;
  /** The server is a node of a cluster, and every key begins with this. */
  clusterPrefix?: string;
  /** Fail a command at once when Redis is away (CLI) instead of waiting for it (consumers). */
  failFast?: boolean;
  /** Called at every lost and every new connection. */
  onConnection?: (state: 'up' | 'down') => void;
}

const pauseMs = (attempt: number): number => Math.min(100 * 2 ** Math.min(attempt, 6), 3000);

export function openRedis(options: RedisOptions): Redis {
  const { host, port, clusterPrefix, onConnection } = options;
  if (clusterPrefix !== undefined) return openCluster(options, clusterPrefix);
  const redis = new Redis({ ...loginOf(options), host, port, retryStrategy: pauseMs, lazyConnect: false });
  redis.on('ready', () => onConnection?.('up'));
  redis.on('close', () => onConnection?.('down'));
  return redis;
}

function loginOf({ user, password, name, tls, failFast }: RedisOptions) {
  return {
    username: user,
    password: password.reveal(),
    connectionName: name,
    disableClientInfo: true, // Redis 7.0 knows no CLIENT SETINFO
    maxRetriesPerRequest: failFast ? 1 : null,
    reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'), // a primary that was made a replica keeps its clients: its address may mean another by now
    ...(tls && { tls: { ...(tls.ca && { ca: tls.ca }) } }),
  };
}

/** The driver's two clients differ in type and not in what is used of them here. */
function openCluster(options: RedisOptions, prefix: string): Redis {
  const { host, port, onConnection } = options;
  const cluster = new Cluster([{ host, port }], {
    redisOptions: loginOf(options),
    clusterRetryStrategy: pauseMs,
    slotsRefreshTimeout: 3000,
    dnsLookup: (name, found) => found(null, name), // a certificate is made out to a name, not to the address behind it
  });
  cluster.on('ready', () => onConnection?.('up'));
  // A node that is lost is replaced by another, whose connection may be there already: only an answer tells that the keys are back.
  cluster.on('+node', (node: Redis) =>
    node.on('close', () => {
      if (isClosing(cluster)) return;
      onConnection?.('down');
      void awaitAnswer(cluster, prefix).then((answered) => answered && onConnection?.('up'));
    }),
  );
  return cluster as unknown as Redis;
}

const isClosing = ({ status }: Cluster): boolean => ['disconnecting', 'end'].includes(status);

async function awaitAnswer(cluster: Cluster, prefix: string): Promise<boolean> {
  while (!isClosing(cluster)) {
    if (await cluster.exists(`${prefix}cdc:status`).then(() => true, () => false)) return true;
    await delay(200);
  }
  return false;
}

/** The one server, or the nodes of a cluster: `master` are those that may hold keys. */
export async function serversOf(redis: Redis, role: 'master' | 'all'): Promise<Redis[]> {
  const client: Redis | Cluster = redis as Redis | Cluster;
  if (!(client instanceof Cluster)) return [client];
  if (client.status !== 'ready') await new Promise((resolve) => client.once('ready', resolve));
  return client.nodes(role);
}
