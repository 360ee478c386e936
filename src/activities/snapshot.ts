/**
 * Rebuilding tables, the source's side: Debezium's snapshots, its slot and its memory.
 * Invariant: a snapshot counts as done by Debezium's own notification, which comes after the rows it is about.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ConnectClient } from '../adapters/connect.ts';
import type { KafkaAdmin } from '../adapters/kafka-admin.ts';
import type { KafkaOptions } from '../adapters/kafka-client.ts';
import { readTopic } from '../adapters/kafka-reader.ts';
import type { Database } from '../adapters/postgres.ts';
import { PipelineError } from '../domain/errors.ts';
import { notificationTopic, tableTopic } from '../domain/topics.ts';
import type { RebuildActivities, Scan } from '../workflows/contract.ts';
import { foldNotification } from './scan.ts';

export interface SnapshotDeps {
  admin: KafkaAdmin;
  kafka: KafkaOptions;
  connect: ConnectClient;
  /** The source as the connector's role, which may signal and drop its slot. */
  source: Database;
  topicPrefix: string;
  /** Name of the connector and of its slot. */
  connector: string;
  /** Its configuration, for when it is gone. */
  config: Record<string, string>;
}

type SourceSide = Pick<RebuildActivities, 'requestSnapshot' | 'followScan' | 'stopSnapshot' | 'stopConnector' | 'resetSource' | 'resumeConnector' | 'forgetHistory'>;

const sliceMs = 5000;
const pollMs = 250;
const stopBudgetMs = 90_000;

export function createSnapshotActivities({ admin, kafka, connect, source, topicPrefix, connector, config }: SnapshotDeps): SourceSide {
  const signal = async (id: string, type: string, tables: string[]): Promise<void> => {
    // Debezium writes two rows per chunk and reads signals from the log: what stands in the table is read by nobody.
    await source.query('SELECT cdc.forget_signals($1)', [id]);
    const data = JSON.stringify({ type: 'incremental', 'data-collections': tables.map((table) => `public.${table}`) });
    await source.query('INSERT INTO cdc.signal (id, type, data) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [id, type, data]);
  };

  /** One that is gone is made: it may still be remembered how far it was, and nobody needs to be told, all is read anew. */
  const stopConnector = async (): Promise<void> => {
    if (await connect.isRegistered(connector)) await connect.stop(connector);
    else await connect.createStopped(connector, config);
    await waitUntil('Kafka Connect to stop the connector', async () => {
      const status = await connect.connectorStatus(connector);
      return status?.connector.state === 'STOPPED' && status.tasks.length === 0;
    });
  };

  return {
    requestSnapshot: (tables, signalId) => signal(signalId, 'execute-snapshot', tables),
    stopSnapshot: (tables, signalId) => signal(signalId, 'stop-snapshot', tables),
    followScan: async (tables, before, initial) => {
      const topic = notificationTopic(topicPrefix);
      let scan: Scan = before;
      for (const deadlineMs = Date.now() + sliceMs; Date.now() < deadlineMs; await delay(pollMs)) {
        const [end] = await admin.offsets(topic);
        if (end !== undefined && end.high < BigInt(scan.cursor)) return { ...scan, lost: true }; // the topic was made anew
        if (end === undefined || end.high === BigInt(scan.cursor)) continue;
        const ends = await readTopic(kafka, {
          topic,
          from: new Map([[0, BigInt(scan.cursor)]]),
          each: async (records) => {
            for (const { value } of records) scan = foldNotification(scan, value?.toString() ?? '', tables, initial);
          },
        });
        scan = { ...scan, cursor: String(ends.get(0) ?? scan.cursor) };
        if (scan.failed || scan.lost || scan.done.length === tables.length) return scan;
      }
      return scan;
    },
    stopConnector,
    resetSource: async () => {
      await stopConnector();
      await waitUntil('PostgreSQL to let go of the replication slot', async () => {
        const [slot] = await source.query<{ active: boolean }>('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [connector]);
        if (slot?.active === false) await source.query('SELECT pg_drop_replication_slot($1)', [connector]);
        return slot?.active !== true;
      });
      await connect.deleteSourceOffsets(connector);
    },
    resumeConnector: async () => {
      await connect.resume(connector);
    },
    forgetHistory: async (tables) => {
      for (const topic of tables.map((table) => tableTopic(topicPrefix, table))) {
        for (const { partition, low, high } of await admin.offsets(topic)) if (low === 0n && high > 0n) await admin.deleteRecords(topic, partition, 1n);
      }
    },
  };
}

async function waitUntil(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const deadlineMs = Date.now() + stopBudgetMs; !(await condition()); await delay(pollMs)) {
    if (Date.now() > deadlineMs) throw new PipelineError('connect_unavailable', `Waited ${stopBudgetMs / 1000} s for ${what}`);
  }
}
