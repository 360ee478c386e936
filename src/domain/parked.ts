/**
 * The mark of a key: events of it wait as dead letters, and which replays of them may be applied. With it goes which image is known to be
 * the row's last, for values that were not sent.
 * Invariant: a replay is applied only while a mark covers it, so a row never goes back behind an event that was applied, also
 * when that event was a delete and no row is left to tell. Pure.
 */
import type { Rejected, RowChange, TableEvent } from './change-event.ts';
import { rowName } from './keys.ts';
import type { Replay } from './replay.ts';
import type { StoredRow, Version } from './stored-row.ts';
import { isBeforeMark, type TableState } from './table-state.ts';
import type { Table } from './tables/table.ts';
import { fillUnavailable } from './unavailable.ts';

/** Covers the letters of one generation with `floor` < offset ≤ `last`. What comes up to the floor is decided. */
export interface ParkedMark {
  floor: bigint;
  last: bigint;
  generation: number;
}

/** A mark's text before and after a batch; '' = absent. Before is part of the fence: a discard may change it at any time. */
export interface MarkChange {
  before: string;
  after: string;
  /** What the outside is told under `cdc:parked:…`: the offset last applied, null when none is known; `closed` takes the key away. */
  told: bigint | null | 'closed';
}

/** `<floor>:<last>:<generation>`. */
export const formatMark = (mark: ParkedMark | null): string => (mark === null ? '' : `${mark.floor}:${mark.last}:${mark.generation}`);

export function parseMark(text: string): ParkedMark | null {
  const [, floor, last, generation] = /^(-?\d+):(\d+):(\d+)$/.exec(text) ?? [];
  return floor === undefined || last === undefined ? null : { floor: BigInt(floor), last: BigInt(last), generation: Number(generation) };
}

/** The mark once `discarded` letters of its key will not be applied and `others` may still be: offsets of the mark's generation. */
export function afterDiscard(mark: ParkedMark | null, discarded: ReadonlySet<bigint>, others: bigint[]): ParkedMark | null {
  if (mark === null || !discarded.has(mark.last)) return mark;
  const waiting = others.filter((offset) => offset > mark.floor);
  if (waiting.length === 0) return null;
  return { ...mark, last: waiting.reduce((newest, offset) => (offset > newest ? offset : newest)) };
}

const isParking = (event: TableEvent): event is RowChange | Rejected => event.kind === 'rejected' || (event.kind === 'change' && (event.replay !== undefined || event.unavailable.length > 0));

/** Ids whose marks a batch needs before it can be settled, each once. Empty for nearly every batch. */
export function idsParked(events: TableEvent[]): string[] {
  const ids = new Set<string>();
  for (const event of events) if (isParking(event) && event.id !== null) ids.add(event.id);
  return [...ids];
}

export interface SettleInput {
  table: Table;
  state: Pick<TableState, 'generation' | 'mark'>;
  /** Generation of the letters that may be replayed, when another processor's are: the table's in its eyes. */
  letters?: number;
  events: TableEvent[];
  stored: ReadonlyMap<string, StoredRow>;
  /** Id → text of its mark, for `idsParked`. */
  marks: ReadonlyMap<string, string>;
}

interface Settled {
  /** One for each given event; a replay that comes too late is as empty as a tombstone. */
  events: TableEvent[];
  marks: Map<string, MarkChange>;
}

/** Walks a batch in order: which replays may still be applied, what an update did not send, and what each key's mark is afterwards. */
export function settleParked({ table, state, letters = state.generation, events, stored, marks }: SettleInput): Settled {
  if (marks.size === 0) return { events, marks: new Map() };
  const keys = new Map([...marks].map(([id, text]) => [id, new ParkedKey({ table, state, letters }, parseMark(text), stored.get(rowName(table.entity, id)) ?? null)]));
  const settled = events.map((event): TableEvent => {
    const key = 'id' in event && event.id !== null ? keys.get(event.id) : undefined;
    return key === undefined ? event : key.take(event);
  });
  return { events: settled, marks: new Map([...keys].map(([id, { mark, told }]) => [id, { before: marks.get(id)!, after: formatMark(mark), told }])) };
}

interface ParkedTable {
  table: Table;
  state: SettleInput['state'];
  letters: number;
}

/** Whether an event that came after the row's image waits as a dead letter. */
const isBehind = ({ generation, offset }: Version, mark: ParkedMark): boolean => mark.generation > generation || (mark.generation === generation && mark.last > offset);

/** One key on the way through a batch. */
class ParkedKey {
  mark: ParkedMark | null;
  told: MarkChange['told'];
  /** Offset of the last event applied in this generation; null when there is no row of it. */
  #applied: bigint | null;
  /** Text of the row's last image; null when there is none, or when an event behind it waits as a dead letter. */
  #image: string | null;
  readonly #of: ParkedTable;

  /** Marks and rows of another generation say nothing: the table is being read anew. */
  constructor(of: ParkedTable, mark: ParkedMark | null, row: StoredRow | null) {
    const { generation } = of.state;
    this.#of = of;
    this.mark = mark?.generation === generation ? mark : null;
    this.#applied = row?.version.generation === generation ? row.version.offset : null;
    this.#image = row === null || (mark !== null && isBehind(row.version, mark)) ? null : row.text;
    this.told = this.#applied;
  }

  /** The event as it takes effect: one that must have none is a tombstone. */
  take(given: TableEvent): TableEvent {
    if (given.kind !== 'change' && given.kind !== 'rejected') return given;
    const event = given.kind === 'change' ? fillUnavailable(this.#of.table, given, this.#image) : given;
    if (event.replay) return this.#replay(event, event.replay) ? event : { kind: 'tombstone', offset: event.offset };
    const { offset } = event;
    if (event.kind === 'rejected') {
      if (this.told === 'closed') this.told = this.#applied;
      this.mark = { floor: this.#applied ?? this.mark?.floor ?? offset - 1n, last: offset, generation: this.#of.state.generation };
      this.#image = null;
    } else this.#apply(event, null);
    return event;
  }

  #replay(event: RowChange | Rejected, { of: offset, generation }: Replay): boolean {
    const { mark } = this;
    if (mark === null || generation !== this.#of.letters) {
      if (mark === null) this.told = 'closed';
      return false;
    }
    const floor = this.#applied !== null && this.#applied > mark.floor ? this.#applied : mark.floor;
    const isCovered = offset > floor && offset <= mark.last;
    if (isCovered && event.kind === 'rejected') return true;
    const decided = isCovered ? offset : floor;
    const rest = decided < mark.last ? { ...mark, floor: decided } : null;
    if (isCovered && event.kind === 'change' && !isBeforeMark(event.lsn, this.#of.state)) {
      this.#apply(event, rest);
      if (rest === null) this.told = 'closed';
      return true;
    }
    this.mark = rest;
    if (rest === null) this.told = 'closed';
    return false;
  }

  #apply({ image, offset }: RowChange, mark: ParkedMark | null): void {
    this.#applied = image === null ? null : offset;
    this.told = offset;
    this.mark = mark;
    this.#image = mark === null ? image : null;
  }
}
