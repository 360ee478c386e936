/** Kafka Connect with the Debezium plugin. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { access, loopback } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import type { Settings } from '../config.ts';
import { connectOffsetsTopic } from '../domain/topics.ts';
import { kafkaClientEnvironment, kafkaClientProperties } from './connect-security.ts';
import { connectClientOf, connectorName } from './connector.ts';
import { eventSizes } from './event-size.ts';
import { jvmCommand } from './jvm.ts';
import { probePort } from './ports.ts';
import { probes } from './probes.ts';
import { inProject, layoutOf } from './project.ts';
import type { StackSettings } from './secrets.ts';
import type { ServerSpec } from './server-spec.ts';
import { fillTemplate, javaProperty } from './template.ts';
import type { Tools } from './tools.ts';

const ownTopics = ['_connect_configs', connectOffsetsTopic, '_connect_status'];

export function connectServer(settings: StackSettings, tools: Tools): ServerSpec {
  const { run } = layoutOf(settings.SLUICE_DATA_DIR);
  return {
    name: 'connect',
    ports: [settings.CONNECT_PORT],
    stopSignal: 'SIGTERM',
    firstStartsMost: 3, // it gives up when Kafka has not answered for a minute
    command: async () => {
      mkdirSync(run, { recursive: true, mode: 0o700 });
      const configFile = join(run, 'connect.properties');
      const values = { KAFKA_BROKERS: access.brokers(settings).join(','), CONNECT_LISTEN: loopback, CONNECT_HOST: loopback, CONNECT_PORT: settings.CONNECT_PORT, PLUGIN_DIR: javaProperty(tools.pluginDir) };
      writeFileSync(configFile, `${fillTemplate(readFileSync(inProject('stack/connect.properties'), 'utf8'), values)}${kafkaClientProperties(settings)}\n`);
      return jvmCommand({
        mainClass: 'org.apache.kafka.connect.cli.ConnectDistributed',
        jars: tools.kafkaJars,
        args: [configFile],
        heapMiBMax: eventSizes(settings).heapMiBMax,
        env: { SLUICE_REPLICATION_PASSWORD: settings.SLUICE_REPLICATION_PASSWORD.reveal(), ...kafkaClientEnvironment(settings) },
      });
    },
    ready: async () => {
      await probePort(settings.CONNECT_PORT);
      await probes.connect(settings);
    },
    stuck: { isStuck: async () => (await isRestarting(settings)) || (await hangs(settings)) || (await lacksTopics(settings)), everyMs: 10_000, forMs: 60_000 },
  };
}

/** Without its own topics it may answer as if nothing were and refuse whatever it is told, for ever; only a start makes them. */
async function lacksTopics(settings: Settings): Promise<boolean> {
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-supervisor' });
  try {
    return (await admin.existing(ownTopics)).length < ownTopics.length;
  } finally {
    await admin.close();
  }
}

/** A task that hangs in a write to Kafka holds a lock that Connect's own restart of it waits for, for ever. */
async function isRestarting(settings: Settings): Promise<boolean> {
  const status = await connectClientOf(settings).connectorStatus(connectorName);
  return status !== null && [status.connector, ...status.tasks].some(({ state }) => state === 'RESTARTING');
}

/** Its main thread waits, for ever when its own topics are gone, while Kafka answers. */
async function hangs(settings: Settings): Promise<boolean> {
  if (await connectClientOf(settings).isHealthy()) return false;
  await probes.kafka(settings);
  return true;
}
