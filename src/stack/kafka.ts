/** Kafka in KRaft mode: one node that is broker and controller. Its storage is formatted once. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { access } from '../access.ts';
import type { Settings } from '../config.ts';
import { createKafkaAdmin, type TopicSpec } from '../adapters/kafka-admin.ts';
import { alertsTopic, deadLetterTopic, groups, heartbeatTopic, notificationTopic, signalTopic, tableTopic } from '../domain/topics.ts';
import { tables } from '../domain/tables/registry.ts';
import { eventSizes } from './event-size.ts';
import { jvmCommand } from './jvm.ts';
import { findFreePort, portsOf, probePort } from './ports.ts';
import { probes } from './probes.ts';
import { inProject, layoutOf } from './project.ts';
import { runCommand } from './run-command.ts';
import type { ServerSpec } from './server-spec.ts';
import { fillTemplate, javaProperty } from './template.ts';
import type { Tools } from './tools.ts';

const messageSize = 'max.message.bytes';

export function kafkaServer(settings: Settings, tools: Tools): ServerSpec {
  const { kafka: dir } = layoutOf(settings.SLUICE_DATA_DIR);
  const configFile = join(dir, 'kafka.properties');
  const storage = join(dir, 'storage');
  const { messageBytesMax, requestBytesMax, heapMiBMax } = eventSizes(settings);
  const program = (mainClass: string, ...args: string[]) => jvmCommand({ mainClass, jars: tools.kafkaJars, args, heapMiBMax });
  return {
    name: 'kafka',
    ports: [settings.KAFKA_PORT],
    stopSignal: 'SIGTERM',
    firstStartsMost: 2, // another process may take the port of its controller beforehand
    command: async (signal) => {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const values = {
        KAFKA_PORT: settings.KAFKA_PORT,
        KAFKA_CONTROLLER_PORT: await findFreePort(portsOf(settings)),
        KAFKA_DATA_DIR: javaProperty(storage),
        MESSAGE_BYTES_MAX: messageBytesMax,
        REQUEST_BYTES_MAX: requestBytesMax,
      };
      writeFileSync(configFile, fillTemplate(readFileSync(inProject('stack/kafka.properties'), 'utf8'), values));
      if (!existsSync(join(storage, 'meta.properties'))) {
        const { file, args, env } = program('kafka.tools.StorageTool', 'format', '-t', newClusterId(), '-c', configFile);
        await runCommand('Kafka storage format', file, args, { env, signal });
      }
      return program('kafka.Kafka', configFile);
    },
    ready: async () => {
      await probePort(settings.KAFKA_PORT);
      await probes.kafka(settings);
    },
  };
}

/** Every topic of the pipeline, as it is made. */
export function topicSpecs(settings: Settings): TopicSpec[] {
  const { messageBytesMax } = eventSizes(settings);
  const kept = (retentionMs: number) => ({ 'retention.ms': String(retentionMs), [messageSize]: String(messageBytesMax) });
  const config = kept(settings.TOPIC_RETENTION_HOURS * 3_600_000);
  const prefix = settings.TOPIC_PREFIX;
  return [
    ...tables.map(({ name }) => ({ topic: tableTopic(prefix, name), partitions: settings.TOPIC_PARTITIONS, config })),
    ...[heartbeatTopic(prefix), signalTopic(prefix), notificationTopic(prefix)].map((topic) => ({ topic, partitions: 1, config })),
    { topic: alertsTopic, partitions: settings.TOPIC_PARTITIONS, config },
    { topic: deadLetterTopic(groups.alerts), partitions: 1, config: kept(-1) },
    { topic: deadLetterTopic(groups.cdc), partitions: 1, config: kept(-1) }, // for ever: a parked row waits for its dead letter to be dealt with
  ];
}

/**
 * Creates every topic before anyone reads or writes: kafkajs fails on a missing one, Connect would choose one partition.
 * The size of an event may change with any start, so topics that are there take it over.
 */
export async function ensureTopics(settings: Settings): Promise<void> {
  const specs = topicSpecs(settings);
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-topics' });
  try {
    await admin.ensureTopics(specs);
    await admin.setTopicConfig(specs.map(({ topic }) => topic), messageSize, String(eventSizes(settings).messageBytesMax));
  } finally {
    await admin.close();
  }
}

/** 16 random bytes in base64url; Kafka's tools refuse one that begins with a dash. */
function newClusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? newClusterId() : id;
}
