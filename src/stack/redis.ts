/**
 * Redis (Valkey's server): append-only file, no eviction, two users. Passwords reach it as SHA-256 in a 0600 file.
 * Invariant: the consumers' user can touch the pipeline's own keys only, and nothing that concerns the whole server.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { consumerUser, loopback } from '../access.ts';
import { inheritedEnvironment, type Settings } from '../config.ts';
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
/** What src/adapters/redis.ts and its scripts send, and what their driver needs to connect and to load the script: first those that name no key. */
const serverCommands = ['ping', 'hello', 'info', 'select', 'client|setname', 'multi', 'exec', 'eval', 'evalsha', 'script|load', 'scan', 'cluster|slots', 'cluster|info'];
const keyCommands = [
  ['get', 'set', 'mget', 'mset', 'incrby', 'del', 'unlink', 'pexpire', 'persist', 'exists', 'incr', 'type'],
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
  [`user default on ${hashed(settings.REDIS_PASSWORD)} ~* &* +@all`, `user ${consumerUser(settings)} ${consumerRules(settings).join(' ')}`, ''].join('\n');

/** What the consumers' user may do, as Redis' ACL rules. */
export const consumerRules = (settings: StackSettings): string[] => ['on', hashed(settings.SLUICE_REDIS_PASSWORD), ...limitsOf(settings)];

const limitsOf = ({ REDIS_KEY_PREFIX: prefix }: Settings): string[] =>
  ['resetchannels', ...keyFamilies.map((family) => `~${prefix}${family}:*`), '-@all', ...[...serverCommands, ...keyCommands].map((name) => `+${name}`)];

/** Each thing that the consumers' user must be allowed, as a client would send it, and the command that allows it all. */
export function accessProbe(settings: Settings): { commands: string[]; allow: string } {
  const keys = keyFamilies.map((family) => `${settings.REDIS_KEY_PREFIX}${family}:1`);
  const commands = [...serverCommands.map((name) => `${name.replace('|', ' ')} x 0`), ...keyCommands.map((name) => `${name} ${keys[0]}${name === 'mset' ? ' x' : ''}`), ...keys.map((key) => `get ${key}`)];
  return { commands, allow: `ACL SETUSER ${consumerUser(settings)} on >SLUICE_REDIS_PASSWORD resetkeys ${limitsOf(settings).join(' ')}` };
}

const hashed = (password: Secret): string => `#${createHash('sha256').update(password.reveal()).digest('hex')}`;
