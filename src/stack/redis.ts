/**
 * Redis (Valkey's server): append-only file, no eviction, two users. Passwords reach it as SHA-256 in a 0600 file.
 * Invariant: the consumers' user can touch the pipeline's own keys only, and nothing that concerns the whole server.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectRedis } from '../adapters/redis.ts';
import { inheritedEnvironment } from '../config.ts';
import type { Secret } from '../domain/secret.ts';
import { host, probePort } from './ports.ts';
import { layoutOf } from './project.ts';
import type { StackSettings } from './secrets.ts';
import { serverEnvironment, type ServerSpec } from './server-spec.ts';
import { writeAtomically } from './state-file.ts';
import type { Tools } from './tools.ts';

/** First parts of the pipeline's keys (docs/redis-keys.md); `processor` is for those that are added. */
const keyFamilies = ['customer', 'product', 'order', 'order_item', 'cdc', 'metrics', 'batch_staging', 'batch_etl', 'batch_summary', 'batch_jobs', 'stream', 'realtime', 'alerts', 'processor'];
/** What src/adapters/redis.ts and its scripts send, and what their driver needs to connect and to load the script. */
const consumerCommands = [
  ['ping', 'hello', 'info', 'select', 'client|setname', 'client|setinfo', 'multi', 'exec', 'eval', 'evalsha', 'script|load'],
  ['get', 'set', 'mget', 'mset', 'incrby', 'del', 'unlink', 'pexpire', 'persist', 'exists', 'incr', 'type', 'scan'],
  ['hget', 'hset', 'hsetnx', 'hgetall', 'hdel', 'hlen', 'hmget', 'hincrby', 'zadd', 'zrem', 'zrange', 'zcard', 'zremrangebyscore', 'xadd', 'xtrim', 'xrange'],
].flat();

export function redisServer(settings: StackSettings, tools: Tools): ServerSpec {
  const { redis: dir } = layoutOf(settings.SLUICE_DATA_DIR);
  return {
    name: 'redis',
    ports: [settings.REDIS_PORT],
    stopSignal: 'SIGTERM',
    command: async () => {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const configFile = join(dir, 'redis.conf');
      writeAtomically(join(dir, 'users.acl'), accessList(settings));
      writeAtomically(configFile, configuration(settings.REDIS_PORT, dir));
      return { file: tools.redisServer, args: [configFile], env: serverEnvironment(inheritedEnvironment()), cwd: dir };
    },
    ready: async () => {
      await probePort(settings.REDIS_PORT);
      const redis = connectRedis({ host, port: settings.REDIS_PORT, user: 'default', password: settings.REDIS_PASSWORD, name: 'sluice-start', failFast: true });
      try {
        await redis.ping();
      } finally {
        await redis.close();
      }
    },
  };
}

function configuration(port: number, dir: string): string {
  return [
    `bind ${host}`,
    `port ${port}`,
    `dir ${JSON.stringify(dir)}`,
    `aclfile ${JSON.stringify(join(dir, 'users.acl'))}`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    '',
  ].join('\n');
}

/** The server's ACL file: the admin, and the consumers' user with its keys and commands. */
export function accessList(settings: StackSettings): string {
  const keys = keyFamilies.map((family) => `~${settings.REDIS_KEY_PREFIX}${family}:*`).join(' ');
  const commands = consumerCommands.map((name) => `+${name}`).join(' ');
  return [
    `user default on ${hashed(settings.REDIS_PASSWORD)} ~* &* +@all`,
    `user sluice-consumer on ${hashed(settings.SLUICE_REDIS_PASSWORD)} resetchannels ${keys} -@all ${commands}`,
    '',
  ].join('\n');
}

const hashed = (password: Secret): string => `#${createHash('sha256').update(password.reveal()).digest('hex')}`;
