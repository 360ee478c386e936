/** Goal: what Kafka says is told apart by whether time heals it: a consumer waits for that, and ends at the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KafkaJSGroupCoordinatorNotFound, KafkaJSNonRetriableError, KafkaJSProtocolError } from 'kafkajs';
import { translateKafkaError } from '../../src/adapters/kafka-client.ts';

const protocolError = (type: string, retriable = false): Error => new KafkaJSProtocolError(Object.assign(new Error(type), { type, code: 1, retriable }));

test('a broker that is stopping, or a membership that was lost, is waited for; what stays refused is refused', () => {
  const codeOf = (error: Error): string => translateKafkaError(error).code;
  assert.equal(codeOf(new KafkaJSGroupCoordinatorNotFound('Failed to find group coordinator')), 'kafka_unavailable');
  assert.equal(codeOf(protocolError('UNKNOWN_MEMBER_ID')), 'kafka_unavailable');
  assert.equal(codeOf(protocolError('LEADER_NOT_AVAILABLE', true)), 'kafka_unavailable');
  assert.equal(codeOf(protocolError('GROUP_AUTHORIZATION_FAILED')), 'kafka_refused');
  assert.equal(codeOf(new KafkaJSNonRetriableError('SASL PLAIN authentication failed')), 'kafka_refused');
});
