/**
 * Records that can never be applied, kept in `<group>.dlq` with reason and origin.
 * Invariant: a record is stored there before the fence moves past it; it may be stored twice, the origin headers tell.
 */
import type { KafkaProducer, OutgoingRecord } from '../adapters/kafka-producer.ts';
import type { Rejected, SourceRecord } from '../domain/change-event.ts';
import { formatDeadLetter } from '../domain/dead-letter.ts';
import type { PartitionRef } from '../domain/topics.ts';

export interface RejectedRecord {
  record: SourceRecord;
  rejected: Rejected;
  /** Of the table, as the rejection was decided. */
  generation: number;
}

/** A replay that came back is a letter about the record it repeats. */
function toDeadLetter({ topic, partition }: PartitionRef, { record, rejected, generation }: RejectedRecord, at: string): OutgoingRecord {
  const { reason, detail, offset, replay } = rejected;
  const origin = { topic, partition, offset, generation: replay?.generation ?? generation };
  return { key: record.key, value: record.value, headers: formatDeadLetter({ kind: 'letter', origin, reason, detail, at, attemptOffset: record.offset }) };
}

export type DeadLetterSink = (ref: PartitionRef, letters: RejectedRecord[]) => Promise<void>;

/** Writes to `topic` and tells the log each reason and origin, never the content. */
export function createDeadLetterSink(producer: KafkaProducer, topic: string, warn: (fields: object, message: string) => void): DeadLetterSink {
  return async ({ topic: originTopic, partition }, letters) => {
    const ref = { topic: originTopic, partition };
    const at = new Date().toISOString();
    await producer.send(
      topic,
      letters.map((letter) => toDeadLetter(ref, letter, at)),
    );
    for (const { rejected } of letters) {
      warn({ ...ref, offset: String(rejected.offset), reason: rejected.reason, detail: rejected.detail }, 'dead letter');
    }
  };
}
