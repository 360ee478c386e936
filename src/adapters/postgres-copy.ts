/**
 * COPY … TO STDOUT for pg: each row comes as a message of its own, millions of them, so they are read from the socket here and
 * not one by one as the driver would. Invariant: the driver has its connection back at the first message that only it understands.
 */
import type { Duplex } from 'node:stream';
import type { Connection, PoolClient, Submittable } from 'pg';

/**
 * Streams what `sql` copies. `take` gets the bytes as they come, cut anywhere, and the next when it has resolved. Returns the
 * server's count of rows. After a failure that is not the server's, such as one of `take`, the connection is of no use.
 */
export function copyOut(client: PoolClient, sql: string, take: (chunk: Buffer) => Promise<void>): Promise<number> {
  return client.query(new CopyOut(sql, take)).rows;
}

/** A query as pg knows it: `submit` and the handlers are called by the driver. */
class CopyOut implements Submittable {
  readonly rows: Promise<number>;
  readonly #sql: string;
  readonly #take: (chunk: Buffer) => Promise<void>;
  #taking: Promise<void> = Promise.resolve();
  #hasFailed = false;
  #count = 0;
  #resolve!: (rows: number) => void;
  #reject!: (error: unknown) => void;

  constructor(sql: string, take: (chunk: Buffer) => Promise<void>) {
    this.#sql = sql;
    this.#take = take;
    this.rows = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    connection.query(this.#sql);
    this.#read(connection.stream).catch(this.#reject);
  }

  handleError(failure: unknown): void {
    this.#hasFailed = true;
    void this.#fail(failure);
  }

  /** It is told when nothing is in the hands of `take` any more. */
  async #fail(failure: unknown): Promise<void> {
    await Promise.allSettled([this.#taking]);
    this.#reject(failure);
  }

  handleCommandComplete({ text }: { text: string }): void {
    this.#count = Number(/^COPY (\d+)$/.exec(text)?.[1]);
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#count);
  }

  /** Reads until the copy is over, then lets the driver go on with the rest. A connection that breaks is told to `handleError`. */
  async #read(socket: Duplex): Promise<void> {
    const [driver] = socket.listeners('data') as ((bytes: Buffer) => void)[];
    let wake = (): void => undefined;
    const onReadable = (): void => wake();
    socket.off('data', driver!).pause().on('readable', onReadable);
    const cut = createRowCutter();
    for (let isOver = false; !isOver; ) {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      const { rows, others, ends } = cut(bytes);
      if (rows.length > 0) await (this.#taking = this.#take(rows));
      if (this.#hasFailed) return;
      isOver = ends;
      if (isOver) socket.off('readable', onReadable).on('data', driver!);
      if (others.length > 0) driver!(others);
    }
    process.nextTick(() => socket.resume()); // after the driver, which may have paused it
  }
}

const headBytes = 5;
const [copyData, copyDone, errorResponse] = [0x64, 0x63, 0x45];

export interface CutBytes {
  /** What COPY wrote, moved together. It lies in the memory of the bytes that were cut. */
  rows: Buffer;
  /** Whole messages of other kinds, or everything behind the copy's end. */
  others: Buffer;
  /** The copy is over, or has failed. */
  ends: boolean;
}

/** Cuts the bytes of the protocol, which come in pieces of any size. Overwrites them. */
export function createRowCutter(): (bytes: Buffer) => CutBytes {
  /** Of a row whose first bytes have come. */
  let missing = 0;
  /** The beginning of a message that cannot be told yet. */
  let begun: Buffer = Buffer.alloc(0);

  return (fresh) => {
    const bytes = begun.length > 0 ? Buffer.concat([begun, fresh]) : fresh;
    const others: Buffer[] = [];
    let at = 0;
    let end = 0;
    for (;;) {
      const length = Math.min(missing, bytes.length - at);
      move(bytes, at, length, end);
      end += length;
      at += length;
      missing -= length;
      if (at + headBytes > bytes.length) break;
      const kind = bytes[at];
      if (kind === copyDone || kind === errorResponse) return { rows: bytes.subarray(0, end), others: Buffer.concat([...others, bytes.subarray(at)]), ends: true };
      const upto = at + 1 + bytes.readUInt32BE(at + 1);
      if (kind === copyData) {
        at += headBytes;
        missing = upto - at;
      } else if (upto > bytes.length) {
        break;
      } else {
        others.push(Buffer.from(bytes.subarray(at, upto)));
        at = upto;
      }
    }
    begun = Buffer.from(bytes.subarray(at));
    return { rows: bytes.subarray(0, end), others: Buffer.concat(others), ends: false };
  };
}

/** Rows are short: a loop is faster than a call for so few bytes. */
const loopBytesMost = 64;

function move(bytes: Buffer, from: number, length: number, to: number): void {
  if (length > loopBytesMost) {
    bytes.copyWithin(to, from, from + length);
    return;
  }
  for (let i = 0; i < length; i += 1) bytes[to + i] = bytes[from + i]!;
}
