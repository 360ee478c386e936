/** How every kafkajs client of ours is made, and how its errors become ours. */
import kafkajs, { Kafka, logLevel, type IHeaders, type SASLOptions } from 'kafkajs';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';
import type { TlsOptions } from './tls.ts';

export interface KafkaOptions {
  brokers: string[];
  clientId: string;
  tls?: TlsOptions;
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: Secret };
}

/** kafkajs prints to stdout by default; it is silenced: what matters comes back as errors and events. */
export function createClient({ brokers, clientId, tls, sasl }: KafkaOptions): Kafka {
  return new Kafka({
    brokers,
    clientId,
    ...(tls && { ssl: { ...(tls.ca && { ca: tls.ca }) } }),
    ...(sasl && { sasl: { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password.reveal() } as SASLOptions }),
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 8 },
  });
}

/** The driver calls these not retriable, since the same request will not pass; joining the group anew does. */
const lostMembership = new Set<unknown>(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'REBALANCE_IN_PROGRESS']);

/** By the driver's own word: what it calls not retriable will not pass by itself. */
export function translateKafkaError(error: unknown): PipelineError {
  const root = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (root instanceof PipelineError) return root;
  const text = root instanceof Error ? root.message : String(root);
  if (root instanceof Error && 'type' in root && root.type === 'FENCED_INSTANCE_ID') return replacedMember(error);
  const passes = root instanceof kafkajs.KafkaJSGroupCoordinatorNotFound || (root instanceof Error && 'type' in root && lostMembership.has(root.type)); // the first is what a broker that is stopping still answers
  const isFinal = root instanceof Error && 'retriable' in root && root.retriable === false && !passes;
  if (isFinal) return new PipelineError('kafka_refused', `Kafka refused: ${text}`, { cause: error });
  return new PipelineError('kafka_unavailable', `Kafka did not answer: ${text}`, { cause: error });
}

export const replacedMember = (cause?: unknown): PipelineError =>
  new PipelineError('kafka_refused', 'Another consumer has joined the group under the same KAFKA_INSTANCE_ID: give each consumer process its own, or none', { cause });

/** Headers as text; of one that is there several times all values, by comma. */
export const headerTexts = (headers: IHeaders = {}): Record<string, string> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]));
