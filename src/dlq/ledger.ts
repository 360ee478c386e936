/**
 * The dead-letter topic folded to its letters: what is open, what was done about the rest. Pure.
 * Invariant: the same whether a record stands there once or twice, and whether a replay's rejection or its resolution was
 * written first.
 */
import { decodeKey } from '../domain/change-event.ts';
import { originName, parseDeadLetter, type Letter, type Origin, type Resolution } from '../domain/dead-letter.ts';

/** A record of the dead-letter topic, its place there and its headers. */
export interface LedgerRecord {
  partition: number;
  offset: bigint;
  key: Buffer | null;
  headers: Record<string, string>;
}

export interface DeadLetter {
  /** `<topic>-<partition>-<offset>` of the rejected record. */
  name: string;
  origin: Origin;
  /** Primary key; null when the record's key could not be read. */
  id: string | null;
  reason: string;
  detail: string;
  /** ISO time of the last rejection. */
  at: string;
  /** How often it was rejected: once, and once for each replay that came back. */
  attempts: number;
  state: 'open' | Resolution['how'];
  /** Who closed it, when and why; null while it is open. */
  closed: Pick<Resolution, 'by' | 'at' | 'note'> | null;
  /** Where a record with its key and value stands in the dead-letter topic. */
  place: { partition: number; offset: bigint };
  /** Offset of the last record that was rejected. */
  attemptOffset: bigint;
  /** Offset of the last replay; null when there was none. */
  replayOffset: bigint | null;
}

export class Ledger {
  readonly #letters = new Map<string, DeadLetter>();
  /** Records that are neither letters nor resolutions. */
  unreadable = 0;

  add(record: LedgerRecord): void {
    const parsed = parseDeadLetter(record.headers);
    if (parsed === null) this.unreadable += 1;
    else if (parsed.kind === 'letter') this.#addLetter(parsed, record);
    else this.#resolve(parsed);
  }

  get(name: string): DeadLetter | undefined {
    return this.#letters.get(name);
  }

  /** By topic, partition and offset. */
  letters(): DeadLetter[] {
    return [...this.#letters.values()].sort(byOrigin);
  }

  #addLetter(letter: Letter, { partition, offset, key }: LedgerRecord): void {
    const name = originName(letter.origin);
    const place = { partition, offset };
    const { reason, detail, at, origin, attemptOffset } = letter;
    const known = this.#letters.get(name);
    if (known?.origin.generation !== origin.generation) {
      this.#letters.set(name, { name, origin, id: decodeKey(key), reason, detail, at, attempts: 1, state: 'open', closed: null, place, attemptOffset, replayOffset: null });
      return;
    }
    const isRepeated = attemptOffset <= known.attemptOffset;
    if (!isRepeated) Object.assign(known, { reason, detail, at, place, attemptOffset, attempts: known.attempts + 1 });
    // A discarded record that is delivered and rejected anew (the table was read again) is parked anew.
    const isOpenAgain = known.state === 'discarded' ? attemptOffset === origin.offset : !isRepeated && attemptOffset >= (known.replayOffset ?? 0n);
    if (isOpenAgain) Object.assign(known, { state: 'open', closed: null });
  }

  #resolve({ origin, how, by, at, note, replayOffset }: Resolution): void {
    const known = this.#letters.get(originName(origin));
    if (!known || known.origin.generation !== origin.generation || known.state === 'discarded') return;
    if (replayOffset !== null) {
      known.replayOffset = replayOffset > (known.replayOffset ?? -1n) ? replayOffset : known.replayOffset;
      if (replayOffset <= known.attemptOffset) return; // this replay has come back already
    }
    Object.assign(known, { state: how, closed: { by, at, note } });
  }
}

function byOrigin(a: DeadLetter, b: DeadLetter): number {
  if (a.origin.topic !== b.origin.topic) return a.origin.topic < b.origin.topic ? -1 : 1;
  return a.origin.partition - b.origin.partition || Number(a.origin.offset - b.origin.offset);
}
