/** Kafka: the brokers, and the pipeline's topics as they are and as a start would make them. */
import { access } from '../access.ts';
import { createKafkaAdmin } from '../adapters/kafka-admin.ts';
import type { Settings } from '../config.ts';
import { topicSpecs } from '../stack/kafka.ts';
import { judge, type Finding, type Moment } from './check.ts';
import { kafkaChecks } from './kafka-checks.ts';

export async function examineKafka(settings: Settings, moment: Moment): Promise<Finding[]> {
  const wanted = topicSpecs(settings).map(({ config = {}, ...spec }) => ({ ...spec, config }));
  const admin = createKafkaAdmin({ ...access.kafka(settings), clientId: 'sluice-doctor' });
  try {
    const { brokers, topics } = await admin.describe(wanted.map(({ topic }) => topic));
    return judge('kafka', kafkaChecks, { brokers, bootstrap: access.kafka(settings).brokers.join(','), wanted, found: topics }, moment);
  } finally {
    await admin.close();
  }
}
