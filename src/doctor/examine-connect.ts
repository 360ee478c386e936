/** Kafka Connect: the worker, its plugin, what it thinks of our configuration, and how the connector is. */
import { access } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import type { Settings } from '../config.ts';
import { connectClientOf, connectorConfig, connectorName } from '../stack/connector.ts';
import { judge, type Finding, type Moment } from './check.ts';
import { connectChecks, pluginClass } from './connect-checks.ts';

export async function examineConnect(settings: Settings, moment: Moment): Promise<Finding[]> {
  const connect = connectClientOf(settings);
  const [worker, plugin] = await Promise.all([connect.worker(), connect.pluginVersion(pluginClass)]);
  const [ours, errors, status] = await Promise.all([
    readClusterId(settings),
    plugin === null ? {} : connect.validate(connectorName, connectorConfig(settings)),
    connect.connectorStatus(connectorName),
  ]);
  const connector = status && { state: status.connector.state, tasks: status.tasks.map(({ state }) => state) };
  return judge('connect', connectChecks, { version: worker.version, cluster: { its: worker.kafka_cluster_id, ours }, plugin, errors, connector }, moment);
}

/** Null when Kafka does not answer, which is told of Kafka. */
async function readClusterId(settings: Settings): Promise<string | null> {
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-doctor' });
  try {
    return await admin.clusterId();
  } catch {
    return null;
  } finally {
    await admin.close();
  }
}
