/**
 * What the pipeline needs in each server: schema and roles, topics, a Redis user, Temporal's search attributes, the connector.
 * Each step makes what is missing and leaves the rest, so it is safe at every start and from several processes.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { access, isGiven, urlsOf, type ServerName } from '../access.ts';
import { connectRedis } from '../adapters/redis.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { connectClientOf, connectorConfig, connectorName } from './connect.ts';
import { ensureTopics } from './kafka.ts';
import { prepareDatabase } from './postgres.ts';
import type { Progress } from './progress.ts';
import { consumerRules } from './redis.ts';
import type { StackSettings } from './secrets.ts';
import { searchAttributes } from './temporal.ts';

const registerBudgetMs = 90_000;

export interface Preparation {
  schema: Promise<void>;
  topics: Promise<void>;
  replica: Promise<void>;
  workflows: Promise<void>;
  connector: Promise<void>;
}

/** Begins each step when its server has `answered`. The servers that the stack starts come with their users and attributes. */
export function prepareServers(settings: StackSettings, answered: Record<ServerName, Promise<void>>, { step }: Progress, signal: AbortSignal): Preparation {
  const schema = answered.postgres.then(() => step('Schema and roles', () => prepareSource(settings), describeMigrations)).then(() => undefined);
  const topics = answered.kafka.then(() => step('Topics', () => ensureTopics(settings)));
  const replica = isGiven(settings, 'redis') ? answered.redis.then(() => step('Redis user', () => prepareReplica(settings), describeUser)).then(() => undefined) : answered.redis;
  const workflows = isGiven(settings, 'temporal') ? answered.temporal.then(() => step('Search attributes', () => prepareWorkflows(settings))) : answered.temporal;
  const connector = Promise.all([schema, topics, answered.connect]).then(() => step('Debezium connector', () => register(settings, signal)));
  return { schema, topics, replica, workflows, connector };
}

const describeMigrations = (applied: string[]): string => (applied.length === 0 ? 'up to date' : `applied ${applied.join(', ')}`);
const describeUser = (kept: boolean): string => (kept ? 'sluice-consumer' : 'sluice-consumer, until Redis restarts: it has no aclfile; then run npx sluice setup again');

async function prepareSource(settings: StackSettings): Promise<string[]> {
  try {
    return await prepareDatabase(settings);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'postgres_refused') throw error;
    throw refusal(`PostgreSQL at ${urlsOf(settings).postgres} refuses what sql/*.sql prepare: ${error.message}. POSTGRES_USER must be a superuser there`, error);
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
  const client = connectClientOf(settings);
  const config = connectorConfig(settings);
  for (const deadline = Date.now() + registerBudgetMs; ; await wait(250, undefined, { signal })) {
    try {
      await client.applyConnector(connectorName, config);
      return;
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry' || Date.now() > deadline) throw error;
    }
  }
}

const refusal = (message: string, cause: unknown): PipelineError => new PipelineError('server_refused', message, { cause });
