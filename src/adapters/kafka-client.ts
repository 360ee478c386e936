/** How every kafkajs client of ours is made, and how its errors become ours. */
import { Kafka, logLevel } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';

export interface KafkaOptions {
  brokers: string[];
  clientId: string;
}

/** kafkajs prints to stdout by default; it is silenced: what matters comes back as errors and events. */
export function createClient({ brokers, clientId }: KafkaOptions): Kafka {
  return new Kafka({
    brokers,
    clientId,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 8 },
  });
}

export function translateKafkaError(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new PipelineError('kafka_unavailable', `Kafka did not answer: ${text}`, { cause: error });
}
