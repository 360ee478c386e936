/** Every Kafka topic and group name is built here. */
export const groups = { cdc: 'sluice-cdc', stream: 'sluice-stream', alerts: 'sluice-alerts' } as const;

/** What the stream processor raises; key = alert id. */
export const alertsTopic = 'realtime-alerts';

const changeTopic = (prefix: string, schema: string, table: string): string => `${prefix}.${schema}.${table}`;
export const tableTopic = (prefix: string, table: string): string => changeTopic(prefix, 'public', table);
export const heartbeatTopic = (prefix: string): string => changeTopic(prefix, 'cdc', 'heartbeat');
export const signalTopic = (prefix: string): string => changeTopic(prefix, 'cdc', 'signal');
/** What Debezium tells of its snapshots. */
export const notificationTopic = (prefix: string): string => changeTopic(prefix, 'cdc', 'notifications');

/** Where Connect keeps how far a connector has read; named, as its group, in stack/connect.properties. */
export const connectOffsetsTopic = '_connect_offsets';
/** Under which Connect writes what its connector's one task reads: group, connector, task. */
export const transactionalId = (connector: string): string => `sluice-connect-${connector}-0`;

export interface PartitionRef {
  topic: string;
  partition: number;
}

/** `<topic>-<partition>`, as keys and logs name a partition. */
export const partitionName = ({ topic, partition }: PartitionRef): string => `${topic}-${partition}`;

export const deadLetterTopic = (group: string): string => `${group}.dlq`;
