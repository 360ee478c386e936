/** Goal: what Kafka says is told apart by whether time heals it: a consumer waits for that, and ends at the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { translateKafkaError } from '../../src/adapters/kafka-client.ts';

const { KafkaJSGroupCoordinatorNotFound, KafkaJSNonRetriableError, KafkaJSProtocolError } = kafkajs;
const protocolError = (type: string, retriable = false): Error => new KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 1, retriable }));
const noCoordinator = Reflect.construct(KafkaJSGroupCoordinatorNotFound, ['Failed to find group coordinator']) as Error; // its types know of no argument
/** As a session that it ends tells it. */
const crash = (cause: Error): Error => Object.assign(new KafkaJSNonRetriableError(cause), { cause });

test('a broker that is stopping, or a membership that was lost, is waited for; what stays refused is refused', () => {
  const codeOf = (error: Error): string => translateKafkaError(error).code;
  assert.equal(codeOf(crash(noCoordinator)), 'kafka_unavailable');
  assert.equal(codeOf(crash(protocolError('UNKNOWN_MEMBER_ID'))), 'kafka_unavailable');
  assert.equal(codeOf(protocolError('LEADER_NOT_AVAILABLE', true)), 'kafka_unavailable');
  assert.equal(codeOf(crash(protocolError('GROUP_AUTHORIZATION_FAILED'))), 'kafka_refused');
  assert.equal(codeOf(new KafkaJSNonRetriableError('refused')), 'kafka_refused');
});
