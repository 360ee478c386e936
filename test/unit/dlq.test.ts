/**
 * Goal: the dead-letter topic folds to the right letters whatever was written twice or in another order, and commands choose and
 * print what they should. Method: records as they stand in the topic, given one by one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RedisStore } from '../../src/adapters/redis.ts';
import { formatContent, formatLetters } from '../../src/cli/dlq-report.ts';
import { decodeTableEvent } from '../../src/domain/change-event.ts';
import { formatDeadLetter, parseDeadLetter, type Letter, type Origin, type Resolution } from '../../src/domain/dead-letter.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { createKeys } from '../../src/domain/keys.ts';
import { afterDiscard, formatMark, parseMark, settleParked } from '../../src/domain/parked.ts';
import { formatReplay } from '../../src/domain/replay.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { Ledger, type DeadLetter } from '../../src/dlq/ledger.ts';
import { awaitJudged } from '../../src/dlq/replay.ts';
import { selectLetters } from '../../src/dlq/select.ts';
import { aChange, aRecord } from '../builders.ts';

const origin: Origin = { topic: 'shop.public.orders', partition: 2, offset: 8n, generation: 0 };
const aLetter = (letter: Partial<Letter> = {}): Letter => ({ kind: 'letter', origin, reason: 'malformed_json', detail: 'no JSON', at: '2026-11-22T10:00:00.000Z', attemptOffset: 8n, ...letter });
const closed = { kind: 'resolution', origin, by: 'ada', at: '2026-11-22T11:00:00.000Z', note: 'why' } as const;
const aReplay = (replayOffset: bigint): Resolution => ({ ...closed, how: 'replayed', replayOffset });
const aDiscard: Resolution = { ...closed, how: 'discarded', replayOffset: null };

function fold(...records: (Letter | Resolution)[]): DeadLetter[] {
  const ledger = new Ledger();
  for (const [i, record] of records.entries()) ledger.add({ partition: 0, offset: BigInt(i), key: Buffer.from('{"id":5}'), headers: formatDeadLetter(record) });
  return ledger.letters();
}
const stateOf = (...records: (Letter | Resolution)[]): string => fold(...records).map(({ state, attempts }) => `${state} ${attempts}`).join(', ');

test('headers say again what was written', () => {
  for (const record of [aLetter(), aLetter({ attemptOffset: 20n }), aReplay(20n), aDiscard]) assert.deepEqual(parseDeadLetter(formatDeadLetter(record)), record);
});

test('a letter of an earlier release has no time and belongs to the first generation', () => {
  const headers = { reason: 'bad_column', detail: 'x', 'origin-topic': 't', 'origin-partition': '1', 'origin-offset': '7' };
  assert.deepEqual(parseDeadLetter(headers), { kind: 'letter', origin: { topic: 't', partition: 1, offset: 7n, generation: 0 }, reason: 'bad_column', detail: 'x', at: '', attemptOffset: 7n });
});

test('what is neither letter nor resolution is counted and ignored', () => {
  const ledger = new Ledger();
  const good = formatDeadLetter(aLetter());
  for (const headers of [{}, { ...good, 'origin-offset': 'x' }, { ...formatDeadLetter(aReplay(9n)), 'replay-offset': '' }, { ...formatDeadLetter(aDiscard), resolution: 'other' }]) {
    ledger.add({ partition: 0, offset: 0n, key: null, headers });
  }
  assert.deepEqual([ledger.unreadable, ledger.letters()], [4, []]);
});

test('a letter is open until it is replayed or discarded, and knows who did it', () => {
  assert.equal(stateOf(aLetter()), 'open 1');
  assert.equal(stateOf(aLetter(), aReplay(20n)), 'replayed 1');
  const [letter] = fold(aLetter(), aDiscard);
  assert.deepEqual([letter!.state, letter!.closed, letter!.id], ['discarded', { by: 'ada', at: closed.at, note: 'why' }, '5']);
});

test('a replay that came back opens its letter again, whichever was written first', () => {
  const back = aLetter({ attemptOffset: 20n, reason: 'sum_range' });
  assert.equal(stateOf(aLetter(), aReplay(20n), back), 'open 2');
  assert.equal(stateOf(aLetter(), back, aReplay(20n)), 'open 2');
  assert.equal(stateOf(aLetter(), aReplay(20n), aReplay(21n), back), 'replayed 2', 'the second replay is still under way');
  assert.equal(fold(aLetter(), aReplay(20n), back)[0]!.reason, 'sum_range');
});

test('a letter that was stored twice is one letter, and opens nothing that was replayed', () => {
  assert.equal(stateOf(aLetter(), aLetter()), 'open 1');
  assert.equal(stateOf(aLetter(), aReplay(20n), aLetter()), 'replayed 1');
  assert.equal(stateOf(aLetter(), aLetter({ attemptOffset: 20n }), aReplay(21n), aLetter({ attemptOffset: 20n })), 'replayed 2');
});

test('a discarded record that is rejected anew from its origin is open again; a late replay of it is not', () => {
  assert.equal(stateOf(aLetter(), aDiscard, aLetter()), 'open 1');
  assert.equal(stateOf(aLetter(), aDiscard, aLetter({ attemptOffset: 20n })), 'discarded 2');
});

test('the same place in another generation is another record', () => {
  const later = aLetter({ origin: { ...origin, generation: 1 } });
  assert.equal(stateOf(aLetter(), aDiscard, later), 'open 1');
  assert.equal(stateOf(later, aDiscard), 'open 1', 'a resolution of the other generation');
});

test('letters come by topic, partition and offset, and every filter narrows', () => {
  const at = (topic: string, partition: number, offset: bigint, rest: Partial<Letter> = {}) => aLetter({ origin: { topic, partition, offset, generation: 0 }, attemptOffset: offset, ...rest });
  const all = fold(at('shop.public.products', 0, 1n), at('shop.public.orders', 1, 12n), at('shop.public.orders', 1, 9n, { reason: 'bad_column', at: '2026-11-23T00:00:00Z' }), at('shop.public.orders', 0, 99n, { at: '' }));
  const names = (letters: DeadLetter[]): string[] => letters.map(({ name }) => name.replace('shop.public.', ''));
  assert.deepEqual(names(all), ['orders-0-99', 'orders-1-9', 'orders-1-12', 'products-0-1']);
  const selected = (selection: Parameters<typeof selectLetters>[1]) => names(selectLetters(all, selection, 'shop'));
  assert.deepEqual(selected({}), names(all));
  assert.deepEqual(selected({ table: 'orders', reason: 'malformed_json' }), ['orders-0-99', 'orders-1-12']);
  assert.deepEqual(selected({ key: '6' }), []);
  assert.deepEqual(selected({ origin: ['shop.public.orders-1-9', 'x'] }), ['orders-1-9']);
  assert.deepEqual(selected({ since: Date.parse('2026-11-23') }), ['orders-1-9'], 'since is inclusive');
  assert.deepEqual(selected({ since: 1, until: Date.parse('2026-11-23') }), ['orders-1-12', 'products-0-1'], 'until is exclusive; an unknown time is before all others');
});

test('a list has columns and counts, never contents; one letter is shown with its content', () => {
  const letters = fold(aLetter(), aDiscard);
  assert.equal(formatLetters([], 0), 'No open dead letters.');
  assert.match(formatLetters(letters, 2), /^origin +key +reason .*\nshop\.public\.orders-2-8 +5 +malformed_json .* discarded by ada at 2026-11-22T11:00:00\.000Z: why\n\n1 discarded\.\n2 records of the topic are neither/);
  const content = { key: Buffer.from('{"id":5}'), value: Buffer.from([0xff, 0xfe]) };
  assert.match(formatContent(letters[0]!, content, false), /^key {4}\{"id":5\}\nvalue {2}base64:\/\/4=$/m);
  assert.deepEqual((JSON.parse(formatContent(letters[0]!, { ...content, value: null }, true)) as { content: unknown }).content, { key: '{"id":5}', value: null });
});

test('a replayed record is judged as the one it repeats; headers that cannot be read reject it', () => {
  const replayed = { ...aChange({ offset: 20 }), headers: formatReplay({ of: 8n, generation: 3 }) };
  const event = decodeTableEvent(orders, replayed);
  assert.deepEqual([event.kind, event.offset, 'replay' in event && event.replay], ['change', 8n, { of: 8n, generation: 3 }]);
  const rejected = decodeTableEvent(orders, { ...aRecord({ offset: 20, value: '{' }), headers: formatReplay({ of: 8n, generation: 3 }) });
  assert.deepEqual([rejected.kind, rejected.offset], ['rejected', 8n]);
  for (const headers of [{ 'sluice-replay-of': '-1', 'sluice-replay-generation': '0' }, { 'sluice-replay-of': 'x', 'sluice-replay-generation': '0' }, { 'sluice-replay-of': '8' }]) {
    const bad = decodeTableEvent(orders, { ...aChange({ offset: 20 }), headers });
    assert.deepEqual([bad.kind, bad.offset, 'reason' in bad && bad.reason], ['rejected', 20n, 'malformed_envelope']);
  }
});

test('a TRUNCATE is never replayed', () => {
  const value = aChange({ offset: 20 }).value!.toString().replace('"op":"c"', '"op":"t"');
  const event = decodeTableEvent(orders, { ...aRecord({ offset: 20, key: null, value }), headers: formatReplay({ of: 8n, generation: 0 }) });
  assert.deepEqual([event.kind, 'reason' in event && event.reason], ['rejected', 'unsupported_operation']);
});

test('a discard takes the mark back to the newest letter that may still be applied', () => {
  const mark = parseMark('7:11:0');
  const discard = (discarded: bigint[], others: bigint[]): string => formatMark(afterDiscard(mark, new Set(discarded), others));
  assert.equal(discard([11n], [8n, 9n]), '7:9:0');
  assert.equal(discard([11n], [6n]), '', 'what comes before the floor is decided');
  assert.equal(discard([8n, 9n, 11n], []), '');
  assert.equal(discard([8n], []), '7:11:0', 'a letter that came after the topic was read keeps its mark');
  assert.equal(afterDiscard(null, new Set([8n]), []), null);
});

test('a replay beyond the mark is of a letter that was discarded: it is not applied', () => {
  const event = decodeTableEvent(orders, { ...aChange({ offset: 20 }), headers: formatReplay({ of: 9n, generation: 0 }) });
  const settle = (mark: string) => settleParked({ table: orders, state: { generation: 0, mark: '0' }, events: [event], stored: new Map(), marks: new Map([['1', mark]]) });
  assert.deepEqual(settle('7:8:0').events.map(({ kind }) => kind), ['tombstone']);
  assert.deepEqual(settle('7:9:0').events.map(({ kind }) => kind), ['change']);
});

test('a processor whose letters another writes takes a replay of that one’s generation, by its own mark', () => {
  const kindAfter = (generation: number, mark: string): string => {
    const event = decodeTableEvent(orders, { ...aChange({ offset: 20 }), headers: formatReplay({ of: 9n, generation }) });
    return settleParked({ table: orders, state: { generation: 2, mark: '0' }, letters: 5, events: [event], stored: new Map(), marks: new Map([['1', mark]]) }).events[0]!.kind;
  };
  assert.equal(kindAfter(5, '7:9:2'), 'change');
  assert.equal(kindAfter(2, '7:9:2'), 'tombstone', 'a letter of before the other read the table again');
  assert.equal(kindAfter(5, '7:9:1'), 'tombstone', 'a mark of before this one did');
});

test('a replay in a partition that stands still is given up, whatever goes on in those that are judged', async () => {
  let moving = 10n;
  const redis = { strings: async (): Promise<string[]> => [String((moving += 1n)), '5'] } as unknown as RedisStore;
  const replayed = [{ topic: 'a', partition: 0, offset: 3n }, { topic: 'a', partition: 1, offset: 7n }];
  const why = (error: unknown): boolean => error instanceof PipelineError && error.code === 'consumer_behind' && error.message.includes('(a-1)');
  await assert.rejects(awaitJudged({ redis, keys: createKeys('') }, replayed, 300, () => undefined), why);
});
