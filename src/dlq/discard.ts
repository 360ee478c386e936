/**
 * Closes letters without applying them: the row keeps its last good image and is compared again by verify.
 * Invariant: the mark goes first and the resolution is written after it, so a discard that was stopped half way can be repeated.
 */
import type { KafkaProducer } from '../adapters/kafka-producer.ts';
import type { RedisStore } from '../adapters/redis.ts';
import { formatDeadLetter, type Origin } from '../domain/dead-letter.ts';
import type { Keys } from '../domain/keys.ts';
import { afterDiscard, formatMark, parseMark } from '../domain/parked.ts';
import { partitionName } from '../domain/topics.ts';
import { decodeReply, encodeCommit } from '../replica/commit.ts';
import type { DeadLetter } from './ledger.ts';
import type { Author } from './replay.ts';

export interface DiscardDeps {
  topic: string;
  producer: KafkaProducer;
  redis: RedisStore;
  keys: Keys;
  /** Table of a change topic; null for a topic that is no table's. */
  tableOf: (topic: string) => string | null;
}

const chunkLetters = 500;

/** `letters` are closed; `known` are all letters of the ledger: one that is open, or whose replay is still under way, keeps its key parked. */
export async function discardLetters(deps: DiscardDeps, letters: DeadLetter[], known: DeadLetter[], author: Author, onProgress: (done: number) => void): Promise<void> {
  const going = new Set(letters.map(({ name }) => name));
  const closing = groupByKey(letters);
  const others = groupByKey(known.filter(({ state, name }) => state !== 'discarded' && !going.has(name)));
  for (let from = 0; from < letters.length; from += chunkLetters) {
    const chunk = letters.slice(from, from + chunkLetters);
    await Promise.all([...groupByKey(chunk).keys()].map((key) => unpark(deps, closing.get(key)!, others.get(key) ?? [])));
    const at = new Date().toISOString();
    const headers = (origin: Origin) => formatDeadLetter({ kind: 'resolution', origin, how: 'discarded', ...author, at, replayOffset: null });
    await deps.producer.send(
      deps.topic,
      chunk.map(({ origin, id }) => ({ key: id === null ? null : Buffer.from(`{"id":${id}}`), value: null, headers: headers(origin) })),
    );
    onProgress(from + chunk.length);
  }
}

/** Letters whose key could be read, by key and generation. */
function groupByKey(letters: DeadLetter[]): Map<string, DeadLetter[]> {
  const groups = new Map<string, DeadLetter[]>();
  for (const letter of letters) {
    if (letter.id === null) continue;
    const key = `${partitionName(letter.origin)} ${letter.origin.generation} ${letter.id}`;
    const group = groups.get(key);
    if (group) group.push(letter);
    else groups.set(key, [letter]);
  }
  return groups;
}

/** Compare and set: a letter that arrives meanwhile keeps its mark. */
async function unpark({ redis, keys, tableOf }: DiscardDeps, letters: DeadLetter[], others: DeadLetter[]): Promise<void> {
  const { origin, id } = letters[0]!;
  const table = tableOf(origin.topic);
  if (table === null || id === null) return;
  const key = keys.parkedMark(table, id);
  const discarded = new Set(letters.map((letter) => letter.origin.offset));
  for (;;) {
    const before = (await redis.strings([key]))[0] ?? '';
    const mark = parseMark(before);
    const after = mark?.generation === origin.generation ? formatMark(afterDiscard(mark, discarded, others.map((letter) => letter.origin.offset))) : before;
    const isParked = (parseMark(after)?.generation ?? -1) >= origin.generation || others.length > 0; // a mark of a later reading is about other letters
    if (after === before && isParked) return;
    const removed = [...(after === '' ? [key] : []), ...(isParked ? [] : [keys.parked(table, id)])];
    const script = encodeCommit(keys, { expect: { fields: [], strings: [[key, before]] }, removed, strings: after === '' ? [] : [[key, after]] });
    if (decodeReply(await redis.commit(script.keys, script.args)).result === 'applied') return;
  }
}
