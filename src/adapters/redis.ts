/**
 * With redis-connection.ts the only importer of the Redis driver. Speaks in keys, strings and hashes; errors leave as PipelineError.
 * A command waits until Redis is back, so callers never see a lost connection unless they set `failFast`.
 */
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { PipelineError } from '../domain/errors.ts';
import { openRedis, serversOf, type RedisOptions } from './redis-connection.ts';

export type RedisStore = ReturnType<typeof connectRedis>;

const readScript = (name: string): string => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');

/** Connection states and replies of one Redis; every method is one round trip unless it says otherwise. */
export function connectRedis(options: RedisOptions) {
  const redis = openRedis(options);
  redis.defineCommand('commitBatch', { lua: readScript('commit') });
  redis.defineCommand('tellStatus', { lua: readScript('status') });
  redis.defineCommand('deniedCommands', { lua: readScript('denied') });
  redis.defineCommand('settleFields', { lua: readScript('settle') });
  for (const name of alertScripts) redis.defineCommand(`${name}Alert`, { lua: readScript(`alert-${name}`) });
  for (const name of batchScripts) redis.defineCommand(`${name}Batch`, { lua: readScript(name) });
  redis.on('error', () => undefined); // each failed command rejects on its own; `close` tells of the connection

  const guard: Guard = async (run) => {
    try {
      return await (options.failFast && options.clusterPrefix !== undefined ? withDeadline(run()) : run());
    } catch (error) {
      throw translate(error);
    }
  };

  return {
    /** Whether it answers; of a cluster the node that holds the keys. */
    ping: (): Promise<unknown> => guard<unknown>(() => (options.clusterPrefix === undefined ? redis.ping() : redis.exists(`${options.clusterPrefix}cdc:status`))),
    /** The fields of INFO. */
    info: (): Promise<Record<string, string>> => guard(async () => Object.fromEntries([...(await redis.info()).matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]))),
    /** Which of these commands this user may not send (denied.lua); nothing is run. */
    denied: (commands: string[]): Promise<string[]> => guard(() => (redis as unknown as Scripts).deniedCommands(0, ...commands) as Promise<string[]>),
    strings: (keys: string[]): Promise<(string | null)[]> => guard(async () => (keys.length === 0 ? [] : redis.mget(keys))),
    set: (key: string, value: string, ttlMs?: number) =>
      guard(() => (ttlMs === undefined ? redis.set(key, value) : redis.set(key, value, 'PX', ttlMs))),
    /** Sets only when absent; returns what is stored afterwards. */
    claim: (key: string, value: string): Promise<string> =>
      guard(async () => ((await redis.set(key, value, 'NX')) === 'OK' ? value : ((await redis.get(key)) ?? value))),
    /** Sets a hash field only when absent; returns what is stored afterwards. */
    claimField: (key: string, field: string, value: string): Promise<string> =>
      guard(async () => ((await redis.hsetnx(key, field, value)) === 1 ? value : ((await redis.hget(key, field)) ?? value))),
    delete: (keys: string[]) => guard(async () => (keys.length === 0 ? 0 : redis.del(keys))),
    hash: (key: string): Promise<Record<string, string>> => guard(() => redis.hgetall(key)),
    deleteFields: (key: string, fields: string[]) => guard(() => redis.hdel(key, ...fields)),
    setFields: (key: string, fields: Record<string, string>) => guard(() => redis.hset(key, fields)),
    increment: (key: string, field: string): Promise<number> => guard(() => redis.hincrby(key, field, 1)),
    ...bulkReads(redis, guard),
    ...perishables(redis, guard),
    /** The commit script (commit.lua): all keys, then all arguments. */
    commit: (keys: string[], args: (string | number)[]): Promise<unknown> =>
      guard(() => (redis as unknown as Scripts).commitBatch(keys.length, keys, args)),
    /** The status script (status.lua). */
    tellStatus: (keys: string[], args: string[]): Promise<unknown> => guard(() => (redis as unknown as Scripts).tellStatus(keys.length, ...keys, ...args)),
    /** The scripts of a batch run (load.lua, publish.lua, drop.lua, fail.lua). */
    batchScript: (name: BatchScript, keys: string[], args: string[]): Promise<unknown> =>
      guard(() => (redis as unknown as Scripts)[`${name}Batch`](keys.length, ...keys, ...args)),
    /** The scripts of alerts (alert-project.lua, alert-admit.lua). */
    alertScript: (name: AlertScript, keys: string[], args: (string | number)[]): Promise<unknown> =>
      guard(() => (redis as unknown as Scripts)[`${name}Alert`](keys.length, ...keys, ...args)),
    /** Makes an ACL user what `rules` say, in every node of a cluster. False when a server has no ACL file to keep it in: it is gone with its next restart. */
    setUser: (name: string, rules: string[]): Promise<boolean> =>
      guard(async () => {
        const kept: boolean[] = [];
        for (const server of await serversOf(redis, 'all')) {
          await server.call('ACL', 'SETUSER', name, ...rules);
          kept.push(await server.call('ACL', 'SAVE').then(() => true, () => false));
        }
        return kept.every(Boolean);
      }),
    close: async () => {
      redis.disconnect();
    },
  };
}

/** The driver's cluster keeps a command until the cluster is back; this is for who does not want to wait. */
const clusterAnswerMs = 5000;

async function withDeadline<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${clusterAnswerMs / 1000} s`)), clusterAnswerMs);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

type Guard = <T>(run: () => Promise<T>) => Promise<T>;

/** Reads of many keys at once. */
function bulkReads(redis: Redis, guard: Guard) {
  return {
    /** Many hashes in one atomic read (MULTI). */
    hashes: (keys: string[]): Promise<Record<string, string>[]> =>
      guard(() => transaction(redis, (multi) => keys.forEach((key) => multi.hgetall(key)))),
    /** Many sorted sets, members with scores in score order, in one atomic read; only what scores at least `from`, set by set. */
    sortedSets: (keys: string[], from: number[] = []): Promise<string[][]> =>
      guard(() => transaction(redis, (multi) => keys.forEach((key, at) => multi.zrange(key, from[at] ?? '-inf', '+inf', 'BYSCORE', 'WITHSCORES')))),
    /** How many members a sorted set has. */
    members: (key: string): Promise<number> => guard(() => redis.zcard(key)),
    /** Members of a sorted set with the highest scores, these first. */
    highest: (key: string, count: number): Promise<{ member: string; score: number }[]> =>
      guard(async () => Object.entries(fieldMap(await redis.zrange(key, '0', String(count - 1), 'REV', 'WITHSCORES'))).map(([member, score]) => ({ member, score: Number(score) }))),
    /** Some fields of a hash. */
    fields: (key: string, fields: string[]): Promise<(string | null)[]> => guard(async () => (fields.length === 0 ? [] : redis.hmget(key, ...fields))),
    /** How many fields a hash has. */
    size: (key: string): Promise<number> => guard(() => redis.hlen(key)),
    /** Redis' name for the type of each key, `none` when it is absent. */
    types: (keys: string[]): Promise<string[]> =>
      guard(async () => (keys.length === 0 ? [] : transaction(redis, (multi) => keys.forEach((key) => multi.type(key))))),
    /** Entries of a stream, oldest first, as field maps. */
    stream: (key: string): Promise<Record<string, string>[]> =>
      guard(async () => (await redis.xrange(key, '-', '+')).map(([, flat]) => fieldMap(flat))),
    /** Names the processes that hold the keys. Others than before may have forgotten the last that was acknowledged. */
    processes: async (): Promise<string> => (await Promise.all((await serversOf(redis, 'master')).map((server) => runIdOf(server, guard)))).join(),
    /** Pages of keys that match a glob; a key may come twice. */
    scan: async function* (pattern: string, pageSize = 1000): AsyncGenerator<string[]> {
      for (const server of await serversOf(redis, 'master')) {
        // A cursor means nothing to another process: keys would be passed over. After a restart or a fail-over all begins again.
        for (let walked: string | null = null, now = await runIdOf(server, guard); walked !== now; now = await runIdOf(server, guard)) {
          walked = now;
          for (let cursor: string | null = '0'; cursor !== null; ) {
            const [next, keys]: [string, string[]] = await guard(() => server.scan(cursor!, 'MATCH', pattern, 'COUNT', pageSize));
            cursor = next === '0' ? null : next;
            if (keys.length > 0) yield keys;
          }
        }
      }
    },
  };
}

const runIdOf = (server: Redis, guard: Guard): Promise<string> => guard(async () => /^run_id:(\w+)/m.exec(await server.info('server'))?.[1] ?? '');

/** Bytes and hashes that expire by themselves. */
function perishables(redis: Redis, guard: Guard) {
  return {
    bytes: (key: string): Promise<Buffer | null> => guard(() => redis.getBuffer(key)),
    setBytes: (key: string, value: Buffer, ttlMs: number) => guard(() => redis.set(key, value, 'PX', ttlMs)),
    /** Sets fields and moves the expiry of the whole hash, in one transaction. */
    setFieldsUntil: (key: string, fields: Record<string, string>, ttlMs: number) =>
      guard(() => transaction(redis, (multi) => multi.hset(key, fields).pexpire(key, ttlMs))),
    /** Removes fields of a hash that still have these values (settle.lua). */
    settle: (key: string, entries: [field: string, value: string][]): Promise<unknown> => guard(() => (redis as unknown as Scripts).settleFields(1, key, ...entries.flat())),
    /** Sets only when absent, for this long; returns what is stored afterwards. */
    claimFor: (key: string, value: string, ttlMs: number): Promise<string> =>
      guard(async () => ((await redis.set(key, value, 'PX', ttlMs, 'NX')) === 'OK' ? value : ((await redis.get(key)) ?? value))),
    /** Removes keys; their memory is given back in the background. */
    unlink: (keys: string[]) => guard(async () => (keys.length === 0 ? 0 : redis.unlink(keys))),
  };
}

function fieldMap(flat: string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) map[flat[i]!] = flat[i + 1]!;
  return map;
}

const batchScripts = ['load', 'publish', 'drop', 'fail'] as const;
type BatchScript = (typeof batchScripts)[number];
const alertScripts = ['project', 'admit'] as const;
type AlertScript = (typeof alertScripts)[number];

type Run = (keyCount: number, ...keysAndArgs: (string | number)[]) => Promise<unknown>;

interface Scripts extends Record<`${BatchScript}Batch` | `${AlertScript}Alert`, Run> {
  /** The driver flattens its arguments: spreading thousands of them would only copy them once more. */
  commitBatch(keyCount: number, keys: string[], args: (string | number)[]): Promise<unknown>;
  tellStatus(keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  deniedCommands: Run;
  settleFields(keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
}

async function transaction<T>(redis: Redis, queue: (multi: ReturnType<Redis['multi']>) => void): Promise<T[]> {
  const multi = redis.multi();
  queue(multi);
  const replies = (await multi.exec()) ?? [];
  return replies.map(([error, value]) => {
    if (error) throw error;
    return value as T;
  });
}

/** Replies of a server that will be itself again. */
const passing = new Set(['LOADING', 'READONLY', 'BUSY', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN']);

/** Redis error replies begin with a code word (the protocol's own classification); anything else is the connection. */
function translate(error: unknown): PipelineError {
  const text = error instanceof Error ? error.message : String(error);
  const code = /^([A-Z]+) /.exec(text)?.[1];
  if (code === 'OOM' || code === 'MISCONF') {
    return new PipelineError('redis_out_of_memory', `Redis refuses writes (${code}): raise maxmemory or free disk space`, { cause: error });
  }
  if (code && !passing.has(code)) return new PipelineError('redis_refused', `Redis refused a command: ${text}`, { cause: error });
  return new PipelineError('redis_unavailable', `Redis is not reachable: ${text}`, { cause: error });
}
