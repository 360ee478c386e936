/**
 * What the pipeline needs in each server: schema and roles, topics, a Redis user, Temporal's search attributes, the connector.
 * Each step makes what is missing and leaves the rest, so it is safe at every start and from several processes.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { access, isGiven, servers, urlsOf, type ServerName } from '../access.ts';
import { connectRedis } from '../adapters/redis.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { registerConnector } from './connector.ts';
import { ensureTopics } from './kafka.ts';
import { prepareDatabase } from './postgres.ts';
import { awaitServer } from './probes.ts';
import type { Progress } from './progress.ts';
import { consumerRules } from './redis.ts';
import type { StackSettings } from './secrets.ts';
import { searchAttributes } from './temporal.ts';

const registerBudgetMs = 90_000;
const insufficientPrivilege = '42501';

export interface Preparation {
  schema: Promise<unknown>;
  topics: Promise<unknown>;
  replica: Promise<unknown>;
  workflows: Promise<unknown>;
  connector: Promise<unknown>;
}

/** Begins each step when its server has `answered`. The servers that the stack starts come with their users and attributes. */
export function prepareServers(settings: StackSettings, answered: Record<ServerName, Promise<void>>, { step }: Progress, signal: AbortSignal): Preparation {
  const schema = step('Schema and roles', () => prepareSource(settings), { after: [answered.postgres], detail: describeMigrations });
  const topics = step('Topics', () => ensureTopics(settings), { after: [answered.kafka] });
  const replica = isGiven(settings, 'redis') ? step('Redis user', () => prepareReplica(settings), { after: [answered.redis], detail: describeUser }) : answered.redis;
  const workflows = isGiven(settings, 'temporal') ? step('Search attributes', () => prepareWorkflows(settings), { after: [answered.temporal] }) : answered.temporal;
  const connector = step('Debezium connector', () => register(settings, signal), { after: [schema, topics, replica, answered.connect] });
  return { schema, topics, replica, workflows, connector };
}

/** Prepares all servers, wherever they are, as soon as each answers. Throws at the first that does not, or refuses. */
export async function prepareAll(settings: StackSettings, progress: Progress): Promise<void> {
  const stop = new AbortController();
  const awaited = (name: ServerName): Promise<void> => progress.step(`${servers[name].label} at ${urlsOf(settings)[name]}`, () => awaitServer(settings, name, stop.signal));
  const answered = { postgres: awaited('postgres'), kafka: awaited('kafka'), connect: awaited('connect'), redis: awaited('redis'), temporal: awaited('temporal') };
  try {
    await Promise.all(Object.values(prepareServers(settings, answered, progress, stop.signal)));
  } finally {
    stop.abort();
  }
}

const describeMigrations = (applied: string[]): string => (applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`);
const describeUser = (kept: boolean): string => (kept ? 'sluice-consumer' : 'sluice-consumer, until Redis restarts: it has no aclfile; then run npx sluice setup again');

async function prepareSource(settings: StackSettings): Promise<string[]> {
  try {
    return await prepareDatabase(settings);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'postgres_refused') throw error;
    const hint = error.details['sqlstate'] === insufficientPrivilege ? '. POSTGRES_USER must be a superuser there' : '';
    throw refusal(`PostgreSQL at ${urlsOf(settings).postgres} refuses what sql/*.sql prepare: ${error.message}${hint}`, error);
  }
}

/** True when the user outlives a restart of Redis. A server that lets nobody make users is content with one that is there. */
async function prepareReplica(settings: StackSettings): Promise<boolean> {
  const admin = connectRedis({ ...access.redisAdmin(settings), name: 'sluice-setup', failFast: true });
  const consumer = access.replica(settings);
  try {
    return await admin.setUser(consumer.user, ['reset', ...consumerRules(settings)]);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'redis_refused') throw error;
    if (await canLogIn(consumer)) return true;
    const rules = consumerRules(settings).filter((rule) => !rule.startsWith('#'));
    throw refusal(`Redis at ${urlsOf(settings).redis} lets its default user make no other (${error.message}): make it yourself: ACL SETUSER ${consumer.user} >SLUICE_REDIS_PASSWORD ${rules.join(' ')}`, error);
  } finally {
    await admin.close();
  }
}

async function canLogIn(user: ReturnType<typeof access.replica>): Promise<boolean> {
  const redis = connectRedis({ ...user, name: 'sluice-setup', failFast: true });
  try {
    return await redis.ping().then(
      () => true,
      () => false,
    );
  } finally {
    await redis.close();
  }
}

async function prepareWorkflows(settings: Settings): Promise<void> {
  const temporal = await connectTemporal(access.temporal(settings));
  try {
    await temporal.ensureSearchAttributes(searchAttributes);
  } finally {
    await temporal.close();
  }
}

/** Kafka Connect answers 409 while its group forms: worth another try until the budget is used up. */
async function register(settings: Settings, signal: AbortSignal): Promise<void> {
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-setup', failFast: true });
  const at = new Date();
  try {
    for (const deadline = at.getTime() + registerBudgetMs; ; await wait(250, undefined, { signal })) {
      try {
        await registerConnector(settings, redis, at);
        return;
      } catch (error) {
        if (!(error instanceof PipelineError) || error.action !== 'retry' || Date.now() > deadline) throw error;
      }
    }
  } finally {
    await redis.close();
  }
}

const refusal = (message: string, cause: unknown): PipelineError => new PipelineError('server_refused', message, { cause });
