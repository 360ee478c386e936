/** What Redis must be like, judged from its INFO and from what its access list lets the consumers' user do. */
import { judgeClock, ok, problem, warning, type Check } from './check.ts';

export interface RedisFacts {
  /** The fields of INFO. */
  info: Record<string, string>;
  /** Commands that the user may not send, as they would be sent. */
  denied: string[];
  /** The command that would let it. */
  allow: string;
  /** Whether our clients speak to a cluster (REDIS_CLUSTER). */
  clustered: boolean;
  hasPrefix: boolean;
  clockAheadMs: number;
}

const oldestMajor = 7;
const mebi = 1024 * 1024;
const keep = 'then CONFIG REWRITE (a managed service: its parameter group)';

export const redisChecks: readonly Check<RedisFacts>[] = [
  {
    name: 'version',
    judge: ({ info }) => {
      const version = info['redis_version'] ?? 'unknown';
      const says = info['valkey_version'] ? `Valkey ${info['valkey_version']}` : version;
      return Number(version.split('.')[0]) >= oldestMajor ? ok(says) : problem(`${says} is older than what the scripts need`, `Upgrade to Redis ${oldestMajor}.0 or Valkey 7.2, or later.`);
    },
  },
  {
    name: 'maxmemory-policy',
    judge: ({ info }) => {
      const policy = info['maxmemory_policy'] ?? 'unknown';
      return policy === 'noeviction' ? ok(policy) : problem(`${policy}: Redis may drop rows and counters by itself`, `CONFIG SET maxmemory-policy noeviction, ${keep}`);
    },
  },
  {
    name: 'memory',
    judge: ({ info }) => {
      const [used, max] = [Number(info['used_memory']), Number(info['maxmemory'])];
      if (!(max > 0)) return ok(`${Math.round(used / mebi)} MiB in use, no limit set`);
      const says = `${Math.round(used / mebi)} of ${Math.round(max / mebi)} MiB in use`;
      return used < 0.8 * max ? ok(says) : warning(says, `CONFIG SET maxmemory ${Math.ceil((used * 2) / mebi)}mb, ${keep}`);
    },
  },
  {
    name: 'append-only file',
    judge: ({ info }) => {
      if (info['aof_enabled'] !== '1') return warning('off: what Redis loses in a crash is read again from Kafka, or from the source', `CONFIG SET appendonly yes, ${keep}`);
      return info['aof_last_write_status'] === 'ok' ? ok('on') : problem('its last write failed', 'Free space on the disk of Redis: it refuses writes until then.');
    },
  },
  {
    name: 'role',
    judge: ({ info }) => (info['role'] === 'slave' ? problem('this is a replica, which refuses writes', 'Point REDIS_HOST at the primary.') : ok(info['role'] ?? 'unknown')),
  },
  { name: 'cluster', judge: judgeCluster },
  {
    name: 'access list',
    judge: ({ denied, allow }) => {
      if (denied.length === 0) return ok('the user may send what the pipeline sends');
      return problem(`the user may not send ${denied.slice(0, 5).join(', ')}${denied.length > 5 ? ` and ${denied.length - 5} others` : ''}`, allow);
    },
  },
  { name: 'clock', judge: ({ clockAheadMs }) => judgeClock(clockAheadMs) },
];

function judgeCluster({ info, clustered, hasPrefix }: RedisFacts) {
  const isCluster = info['redis_mode'] === 'cluster';
  if (isCluster && !clustered) return problem('this is a Redis Cluster', 'Set REDIS_CLUSTER=on, and a REDIS_KEY_PREFIX such as {shop}: that keeps the pipeline in one slot.');
  if (!isCluster && clustered) return problem('this Redis is not a cluster', 'Set REDIS_CLUSTER=off.');
  if (isCluster && !hasPrefix) return problem('without a hash tag the keys fall into different slots', 'Set REDIS_KEY_PREFIX to a hash tag such as {shop}:');
  return ok(isCluster ? 'a cluster; the pipeline keeps to one slot' : 'a single Redis');
}
