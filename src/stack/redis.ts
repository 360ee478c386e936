/**
 * Redis (Valkey's server): append-only file, no eviction, two users. Passwords reach it as SHA-256 in a 0600 file.
 * Invariant: the consumers' user can touch the pipeline's own keys only, and nothing that concerns the whole server.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loopback } from '../access.ts';
import { inheritedEnvironment } from '../config.ts';
import type { Secret } from '../domain/secret.ts';
import { probePort } from './ports.ts';
import { probes } from './probes.ts';
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
      await probes.redis(settings);
    },
  };
}

function configuration(port: number, dir: string): string {
  return [
    `bind ${loopback}`,
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
export const accessList = (settings: StackSettings): string =>
  [`user default on ${hashed(settings.REDIS_PASSWORD)} ~* &* +@all`, `user sluice-consumer ${consumerRules(settings).join(' ')}`, ''].join('\n');

/** What the consumers' user may do, as Redis' ACL rules. */
export function consumerRules({ REDIS_KEY_PREFIX: prefix, SLUICE_REDIS_PASSWORD: password }: StackSettings): string[] {
  return ['on', hashed(password), 'resetchannels', ...keyFamilies.map((family) => `~${prefix}${family}:*`), '-@all', ...consumerCommands.map((name) => `+${name}`)];
}

const hashed = (password: Secret): string => `#${createHash('sha256').update(password.reveal()).digest('hex')}`;
