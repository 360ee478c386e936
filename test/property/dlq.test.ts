/**
 * Goal: the law of dead letters. At any moment a key's row is the image of the newest applied event, by (generation, offset of the
 * record it came in), where applied are: the events that could be decoded when they first came, and the letters of which a replay
 * could be decoded while the table was still of the letter's generation and the letter stood not discarded. The order of replays,
 * their number, redelivery and batch sizes do not matter; each record is counted once; and a key is parked exactly while an open
 * letter is newer than what was applied to it.
 * Method: random shops, rejections, replays and discards through the engine's pure parts and the real ledger, against plain loops.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { add, type Amount } from '../../src/domain/amount.ts';
import { decodeTableEvent, type SourceRecord } from '../../src/domain/change-event.ts';
import { formatDeadLetter, type Letter, type Resolution } from '../../src/domain/dead-letter.ts';
import { foldBatch, type WritePlan } from '../../src/domain/fold.ts';
import { afterDiscard, formatMark, idsParked, parseMark, settleParked } from '../../src/domain/parked.ts';
import { formatReplay } from '../../src/domain/replay.ts';
import { parseStoredRow } from '../../src/domain/stored-row.ts';
import { orders } from '../../src/domain/tables/orders.ts';
import { Ledger, type DeadLetter } from '../../src/dlq/ledger.ts';
import { aChange, aRecord, anOrder, aTombstone, rowsTouched } from '../builders.ts';

const ref = { topic: 'shop.public.orders', partition: 0 };

/** What the records say once they can be read; the source keeps them apart from the engine. */
interface Truth {
  id: number;
  /** Cents; null after a delete. */
  cents: number | null;
  readable: boolean;
}

class World {
  log: SourceRecord[] = [];
  /** `<generation of the topic> <offset>` → what the record says. */
  truths = new Map<string, Truth>();
  /** Offset of a replay → the letter it repeats and whether it can be read. */
  replays = new Map<bigint, { of: bigint; generation: number; readable: boolean }>();
  source = new Map<number, number>();
  generation = 0;
  /** By generation, which topic its offsets are of: one that is created anew begins again. */
  topics = [0];
  rows = new Map<string, string>();
  marks = new Map<string, string>();
  counters = new Map<string, Amount>();
  fence = 0n;
  ledger = new Ledger();
  #placed = 0n;

  get end(): bigint {
    return (this.log.at(-1)?.offset ?? -1n) + 1n;
  }

  change(id: number, cents: number | null, readable: boolean, gap: number): void {
    const before = this.source.get(id);
    if (cents === null && before === undefined) return;
    const offset = this.end + BigInt(gap);
    this.truths.set(`${this.topics[this.generation]} ${offset}`, { id, cents, readable });
    this.log.push(readable ? this.record(this.truthAt(offset)!, offset) : aRecord({ offset, key: `{"id":${id}}`, value: '{' }));
    if (cents === null) {
      this.log.push(aTombstone(id, offset + 1n));
      this.source.delete(id);
    } else this.source.set(id, cents);
  }

  truthAt(offset: bigint, generation = this.generation): Truth | undefined {
    return this.truths.get(`${this.topics[generation]} ${offset}`);
  }

  /** The table is to be read anew; `topic`: from a topic that was created anew. */
  raise(topic: boolean): void {
    this.topics.push(this.topics[this.generation]! + Number(topic));
    this.generation += 1;
    if (!topic) return;
    this.log = [];
    this.replays.clear();
    this.fence = 0n;
  }

  /** Its readable record, at `offset`. */
  record({ id, cents }: Truth, offset: bigint): SourceRecord {
    const row = anOrder({ id, total_amount: `${Math.floor((cents ?? 0) / 100)}.${String((cents ?? 0) % 100).padStart(2, '0')}` });
    return aChange(cents === null ? { op: 'd', before: row, offset } : { op: 'u', before: row, after: row, offset });
  }

  replay(pick: number, readable: boolean, resolved: boolean): void {
    const letter = pickFrom(this.open(), pick);
    if (!letter) return;
    const { offset: of, generation } = letter.origin;
    const offset = this.end;
    const { key, value } = readable ? this.record(this.truthAt(of, generation)!, offset) : aRecord({ key: `{"id":${letter.id}}`, value: '{' });
    this.log.push({ offset, timestampMs: '0', key, value, headers: formatReplay({ of, generation }) });
    this.replays.set(offset, { of, generation, readable });
    if (resolved) this.#note({ kind: 'resolution', origin: letter.origin, how: 'replayed', by: 'me', at: '', note: '', replayOffset: offset });
  }

  /** A discard beside a replay of the same letter that is still under way is a race of two persons: left out. */
  discard(pick: number): void {
    const underWay = new Set([...this.replays].filter(([offset]) => offset >= this.fence).map(([, { of }]) => of));
    const letter = pickFrom(this.open().filter(({ origin }) => !underWay.has(origin.offset)), pick);
    if (!letter) return;
    const id = letter.id!;
    const mark = parseMark(this.marks.get(id) ?? '');
    const others = this.ledger.letters().filter((one) => one.state !== 'discarded' && one.id === id && one.name !== letter.name && one.origin.generation === letter.origin.generation);
    if (mark?.generation === letter.origin.generation) this.#mark(id, formatMark(afterDiscard(mark, new Set([letter.origin.offset]), others.map(({ origin }) => origin.offset))));
    this.#note({ kind: 'resolution', origin: letter.origin, how: 'discarded', by: 'me', at: '', note: '', replayOffset: null });
  }

  /** One batch as the consumer takes it; a crash comes after the letters are stored and before the commit. */
  deliver(size: number, crash: boolean): void {
    const records = this.log.filter(({ offset }) => offset >= this.fence).slice(0, size);
    if (records.length === 0) return;
    const decoded = records.map((record) => decodeTableEvent(orders, record));
    const stored = new Map(rowsTouched(orders, decoded).flatMap((name) => (this.rows.has(name) ? [[name, parseStoredRow(this.rows.get(name)!)]] : [])));
    const state = { generation: this.generation, mark: '0' };
    const settled = settleParked({ table: orders, state, events: decoded, stored, marks: new Map(idsParked(decoded).map((id) => [id, this.marks.get(id) ?? ''])) });
    for (const [i, event] of settled.events.entries()) {
      if (event.kind !== 'rejected') continue;
      const origin = { ...ref, offset: event.offset, generation: event.replay?.generation ?? this.generation };
      this.#note({ kind: 'letter', origin, reason: event.reason, detail: '', at: '', attemptOffset: records[i]!.offset }, records[i]!.key);
    }
    if (crash) return;
    this.#commit(foldBatch({ table: orders, state, ...settled, stored, changesMax: 0 }));
    this.fence = records.at(-1)!.offset + 1n;
  }

  open(): DeadLetter[] {
    return this.ledger.letters().filter(({ state }) => state === 'open');
  }

  isParked(id: number): boolean {
    const mark = parseMark(this.marks.get(String(id)) ?? '');
    if (mark?.generation !== this.generation) return false;
    const row = this.rows.get(`order:${id}`);
    const version = row === undefined ? null : parseStoredRow(row).version;
    return version?.generation !== this.generation || version.offset < mark.last;
  }

  #commit(plan: WritePlan): void {
    for (const [id, { before, after }] of plan.marks) {
      assert.equal(this.marks.get(id) ?? '', before);
      this.#mark(id, after);
    }
    for (const id of plan.unparked.keys()) this.marks.delete(id);
    for (const name of plan.deletes) this.rows.delete(name);
    for (const [name, text] of plan.rows) this.rows.set(name, text);
    for (const [hash, fields] of plan.counters) for (const [field, amount] of fields) this.counters.set(`${hash} ${field}`, add(this.counters.get(`${hash} ${field}`) ?? 0, amount));
  }

  #mark(id: string, text: string): void {
    if (text === '') this.marks.delete(id);
    else this.marks.set(id, text);
  }

  #note(record: Letter | Resolution, key: Buffer | null = null): void {
    this.ledger.add({ partition: 0, offset: this.#placed++, key, headers: formatDeadLetter(record) });
  }
}

const pickFrom = <T>(list: T[], pick: number): T | undefined => list[pick % list.length];

/** The law, by plain loops over what happened. */
class Reference {
  /** Id → newest applied event. */
  newest = new Map<number, { generation: number; offset: bigint; cents: number | null }>();
  stats: Record<string, number> = { u: 0, d: 0, dead: 0 };
  #seen = 0n;
  #topic = 0;

  /** Sees what was committed since the last look. */
  look(world: World): void {
    const topic = world.topics.at(-1)!;
    if (topic !== this.#topic) this.#seen = 0n;
    this.#topic = topic;
    for (const { offset } of world.log) {
      if (offset < this.#seen || offset >= world.fence) continue;
      const truth = world.truthAt(offset);
      const replay = world.replays.get(offset);
      if (truth) {
        this.stats[truth.readable ? (truth.cents === null ? 'd' : 'u') : 'dead']! += 1;
        if (truth.readable) this.#apply(truth.id, world.generation, offset, truth.cents);
      } else if (replay?.readable && replay.generation === world.generation && !isDiscarded(world, replay)) {
        const { id, cents } = world.truthAt(replay.of)!;
        this.#apply(id, replay.generation, replay.of, cents);
      }
    }
    this.#seen = world.fence;
  }

  #apply(id: number, generation: number, offset: bigint, cents: number | null): void {
    const known = this.newest.get(id);
    if (!known || generation > known.generation || (generation === known.generation && offset > known.offset)) this.newest.set(id, { generation, offset, cents });
  }
}

const isDiscarded = (world: World, { of, generation }: { of: bigint; generation: number }): boolean =>
  world.ledger.letters().some(({ state, origin }) => state === 'discarded' && origin.offset === of && origin.generation === generation);

const ids = [1, 2];
const id = fc.constantFrom(1, 1, 1, 2);
const readable = fc.constantFrom(true, false, false);
type Action =
  | { do: 'change'; id: number; cents: number; readable: boolean; gap: number }
  | { do: 'delete'; id: number; readable: boolean }
  | { do: 'replay'; pick: number; readable: boolean; resolved: boolean }
  | { do: 'discard'; pick: number }
  | { do: 'deliver'; size: number; crash: boolean }
  | { do: 'raise'; topic: boolean };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ do: fc.constant('change' as const), id, cents: fc.integer({ min: 0, max: 99_999 }), readable, gap: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('delete' as const), id, readable }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constant('replay' as const), pick: fc.nat(9), readable: fc.constantFrom(true, true, false), resolved: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('discard' as const), pick: fc.nat(9) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('deliver' as const), size: fc.integer({ min: 1, max: 6 }), crash: fc.constantFrom(false, false, true) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('raise' as const), topic: fc.boolean() }) },
);

function act(world: World, one: Action): void {
  switch (one.do) {
    case 'change':
      return world.change(one.id, one.cents, one.readable, one.gap);
    case 'delete':
      return world.change(one.id, null, one.readable, 0);
    case 'replay':
      return world.replay(one.pick, one.readable, one.resolved);
    case 'discard':
      return world.discard(one.pick);
    case 'deliver':
      return world.deliver(one.size, one.crash);
    case 'raise':
      return world.raise(one.topic);
  }
}

function assertLaw(world: World, reference: Reference): void {
  let revenue = 0;
  for (const one of ids) {
    const text = world.rows.get(`order:${one}`);
    const cents = reference.newest.get(one)?.cents ?? null;
    assert.equal(text === undefined ? null : Math.round(Number((JSON.parse(text) as { total_amount: string }).total_amount) * 100), cents, `row ${one}`);
    revenue += cents ?? 0;
  }
  assert.equal(Number(world.counters.get('metrics:revenue total_cents') ?? 0), revenue);
  for (const [field, count] of Object.entries(reference.stats)) assert.equal(world.counters.get(`cdc:stats:orders ${field}`) ?? 0, count, field);
}

function assertParked(world: World, reference: Reference): void {
  for (const one of ids) {
    const applied = reference.newest.get(one);
    const floor = applied?.generation === world.generation ? applied.offset : -1n;
    const waiting = world.open().some((letter) => letter.id === String(one) && letter.origin.generation === world.generation && letter.origin.offset > floor);
    assert.equal(world.isParked(one), waiting, `parked ${one}`);
  }
}

test('whatever is rejected, replayed and discarded in whatever order, a row is its newest applied event', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 10, maxLength: 60, size: 'max' }), (actions) => {
      const world = new World();
      const reference = new Reference();
      for (const one of actions) {
        act(world, one);
        reference.look(world);
        assertLaw(world, reference);
      }
      world.deliver(Infinity, false);
      reference.look(world);
      assertLaw(world, reference);
      assertParked(world, reference);
    }),
    { numRuns: 400 },
  );
});
