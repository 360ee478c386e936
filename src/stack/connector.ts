/** The one connector that Kafka Connect runs. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { access } from '../access.ts';
import { createConnectClient, type ConnectClient } from '../adapters/connect.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Settings } from '../config.ts';
import { createKeys } from '../domain/keys.ts';
import { tellBegunAnew } from '../replica/connector.ts';
import { sourceTls } from './connect-security.ts';
import { eventSizes } from './event-size.ts';
import { inProject } from './project.ts';
import { fillTemplate } from './template.ts';

/** Connector, replication slot and publication are all called this. */
export const connectorName = 'sluice';

export const connectClientOf = (settings: Settings): ConnectClient => createConnectClient(access.connectUrl(settings));

/** Registers the connector, or changes it to what the settings say. `redis`: the replica; `at`: the same for every try. */
export async function registerConnector(settings: Settings, redis: RedisStore, at = new Date()): Promise<'unchanged' | 'applied'> {
  const connect = connectClientOf(settings);
  if (!(await connect.isRegistered(connectorName))) await tellBegunAnew({ connect, redis, keys: createKeys(settings.REDIS_KEY_PREFIX) }, at);
  return connect.applyConnector(connectorName, connectorConfig(settings));
}

/** The connector as debezium/connector.json defines it, with this stack's addresses and names filled in. */
export function connectorConfig(settings: Settings): Record<string, string> {
  const { POSTGRES_DB, TOPIC_PREFIX, HEARTBEAT_INTERVAL_MS, EVENT_BYTES_MAX } = settings;
  const { host: POSTGRES_HOST, port: POSTGRES_PORT } = access.connectorSource(settings);
  const values = { POSTGRES_HOST, POSTGRES_PORT, POSTGRES_DB, TOPIC_PREFIX, HEARTBEAT_INTERVAL_MS, EVENT_BYTES_MAX, PRODUCER_BUFFER_BYTES: eventSizes(settings).producerBufferBytes };
  const text = fillTemplate(readFileSync(inProject('debezium/connector.json'), 'utf8'), values);
  return { ...z.record(z.string(), z.string()).parse(JSON.parse(text)), ...sourceTls(settings) };
}
