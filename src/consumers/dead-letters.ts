/**
 * Records that can never be applied, kept in `<group>.dlq` with reason and origin.
 * Invariant: a record is stored there before the fence moves past it; it may be stored twice, the origin headers tell.
 */
import type { KafkaProducer, OutgoingRecord } from '../adapters/kafka-producer.ts';
import type { Rejected, SourceRecord } from '../domain/change-event.ts';
import type { PartitionRef } from '../domain/topics.ts';

function toDeadLetter(ref: PartitionRef, record: SourceRecord, rejected: Rejected): OutgoingRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      reason: rejected.reason,
      detail: rejected.detail,
      'origin-topic': ref.topic,
      'origin-partition': String(ref.partition),
      'origin-offset': String(record.offset),
    },
  };
}

export type DeadLetterSink = (ref: PartitionRef, letters: { record: SourceRecord; rejected: Rejected }[]) => Promise<void>;

/** Writes to `topic` and tells the log each reason and origin, never the content. */
export function createDeadLetterSink(producer: KafkaProducer, topic: string, warn: (fields: object, message: string) => void): DeadLetterSink {
  return async (ref, letters) => {
    await producer.send(
      topic,
      letters.map(({ record, rejected }) => toDeadLetter(ref, record, rejected)),
    );
    for (const { rejected } of letters) {
      warn({ ...ref, offset: String(rejected.offset), reason: rejected.reason, detail: rejected.detail }, 'dead letter');
    }
  };
}
