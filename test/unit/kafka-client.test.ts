/** Goal: what Kafka says is told apart by whether time heals it: a consumer waits for that, and ends at the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translateKafkaError } from '../../src/adapters/kafka-client.ts';

/** As the driver makes them; it does not give its classes away. */
const driverError = (members: { name?: string; type?: string }, retriable = false): Error => Object.assign(new Error('why'), { retriable, ...members });

test('a broker that is stopping, or a membership that was lost, is waited for; what stays refused is refused', () => {
  const codeOf = (error: Error): string => translateKafkaError(error).code;
  assert.equal(codeOf(driverError({ name: 'KafkaJSGroupCoordinatorNotFound' })), 'kafka_unavailable');
  assert.equal(codeOf(driverError({ type: 'UNKNOWN_MEMBER_ID' })), 'kafka_unavailable');
  assert.equal(codeOf(driverError({ type: 'LEADER_NOT_AVAILABLE' }, true)), 'kafka_unavailable');
  assert.equal(codeOf(driverError({ type: 'GROUP_AUTHORIZATION_FAILED' })), 'kafka_refused');
  assert.equal(codeOf(driverError({ name: 'KafkaJSSASLAuthenticationError' })), 'kafka_refused');
});
