/** Reads the dead-letter topic: whole into a ledger, or the records of chosen letters. Contents are never kept beyond a batch. */
import type { KafkaOptions } from '../adapters/kafka-client.ts';
import { readTopic, type TopicRecord } from '../adapters/kafka-reader.ts';
import type { DeadLetter, Ledger } from './ledger.ts';

export interface LetterTopic {
  kafka: KafkaOptions;
  /** The dead-letter topic. */
  topic: string;
}

/** Adds what stands in the topic from `from` on (its beginning by default); resolves with where a later reading goes on. */
export function readLedger({ kafka, topic }: LetterTopic, ledger: Ledger, from?: ReadonlyMap<number, bigint>): Promise<Map<number, bigint>> {
  return readTopic(kafka, {
    topic,
    ...(from && { from }),
    each: async (records) => {
      for (const record of records) ledger.add(record);
    },
  });
}

/** The records of these letters, in the order in which they stand in the topic; the next are read when `each` resolves. */
export async function readRecords({ kafka, topic }: LetterTopic, letters: DeadLetter[], each: (found: { letter: DeadLetter; record: TopicRecord }[]) => Promise<void>): Promise<void> {
  const wanted = new Map(letters.map((letter) => [`${letter.place.partition} ${letter.place.offset}`, letter]));
  const from = new Map<number, bigint>();
  for (const { place } of letters) {
    const first = from.get(place.partition);
    if (first === undefined || place.offset < first) from.set(place.partition, place.offset);
  }
  await readTopic(kafka, {
    topic,
    from,
    each: async (records) => {
      const found = records.flatMap((record) => {
        const letter = wanted.get(`${record.partition} ${record.offset}`);
        return letter ? [{ letter, record }] : [];
      });
      if (found.length > 0) await each(found);
    },
  });
}
