/** Kafka Connect with the Debezium plugin. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { access, loopback } from '../access.ts';
import { createKafkaAdmin, type KafkaAdmin } from '../adapters/kafka-admin.ts';
import { oldestUncommittedMs } from '../adapters/kafka-uncommitted.ts';
import type { Settings } from '../config.ts';
import { kafkaClientEnvironment, kafkaClientProperties } from './connect-security.ts';
import { connectClientOf, connectorName } from './connector.ts';
import { eventSizes } from './event-size.ts';
import { jvmCommand } from './jvm.ts';
import { probePort } from './ports.ts';
import { probes } from './probes.ts';
import { inProject, layoutOf } from './project.ts';
import type { StackSettings } from './secrets.ts';
import type { ServerSpec } from './server-spec.ts';
import { fillTemplate } from './template.ts';
import type { Tools } from './tools.ts';

/** As stack/connect.properties names them. */
const ownTopics = ['_connect_configs', '_connect_offsets', '_connect_status'];
/** Kafka ends a transaction of Connect's by itself after a minute, if it ever does. */
const transactionMsMost = 90_000;

export function connectServer(settings: StackSettings, tools: Tools): ServerSpec {
  const { run } = layoutOf(settings.SLUICE_DATA_DIR);
  /** Whether it was last seen not to get on: then the next start looks why. */
  let isStuck = false;
  return {
    name: 'connect',
    ports: [settings.CONNECT_PORT],
    stopSignal: 'SIGTERM',
    firstStartsMost: 3, // it gives up when Kafka has not answered for a minute
    command: async () => {
      if (isStuck && (await waitsForEver(settings).catch(() => false))) await forgetAll(settings);
      mkdirSync(run, { recursive: true, mode: 0o700 });
      const configFile = join(run, 'connect.properties');
      const values = { KAFKA_BROKERS: access.brokers(settings).join(','), CONNECT_LISTEN: loopback, CONNECT_HOST: loopback, CONNECT_PORT: settings.CONNECT_PORT, PLUGIN_DIR: tools.pluginDir };
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
      isStuck = true;
      await probes.connect(settings);
      isStuck = false;
    },
    stuck: {
      isStuck: async () => {
        isStuck = (await isRestarting(settings)) || (await hangs(settings)) || (await lacksTopics(settings));
        return isStuck;
      },
      everyMs: 10_000,
      forMs: 60_000,
    },
  };
}

/** It reads its own topics to the end of what is committed: never, when Kafka was stopped in the middle of a transaction and has left it open. */
async function waitsForEver(settings: Settings): Promise<boolean> {
  const oldestMs = await oldestUncommittedMs({ ...access.kafka(settings), clientId: 'sluice-supervisor' }, ownTopics);
  return oldestMs !== null && Date.now() - oldestMs > transactionMsMost;
}

/** Without them the connector begins anew, and every table is read again. */
const forgetAll = (settings: Settings): Promise<void> => withAdmin(settings, (admin) => admin.deleteTopics(ownTopics));

/** Without its own topics it may answer as if nothing were and refuse whatever it is told, for ever; only a start makes them. */
const lacksTopics = (settings: Settings): Promise<boolean> => withAdmin(settings, async (admin) => (await admin.existing(ownTopics)).length < ownTopics.length);

async function withAdmin<T>(settings: Settings, work: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-supervisor' });
  try {
    return await work(admin);
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
