/**
 * Where a newly assigned partition starts. Pure.
 * Never jumps: a log that does not reach from the fence on was re-created or cut; then it starts over, and its table is read again.
 */
export interface StoredFence {
  /** Last applied offset + 1; null when nothing was ever applied. */
  offset: bigint | null;
  /** Fingerprint of the record at `offset` − 1. */
  fingerprint: string | null;
  /** `<fence>:<position>` as it was last told; counts only while the fence is still that one. */
  seen: string | null;
}

export type StartPosition =
  /** Read from `offset`; `expect` is the fingerprint the first record must have (it was applied already). */
  | { offset: bigint; expect: string | null }
  /** Changes are missing: read from the log's start, and say why the table must be read again from the source. */
  | { offset: bigint; gap: string };

/** `low` is the first offset the log still holds, `high` the next to be written. */
export function decideStart(fence: StoredFence, log: { low: bigint; high: bigint }): StartPosition {
  const gap = (why: string): StartPosition => ({ offset: log.low, gap: why });
  if (fence.offset === null) return log.low <= positionOf(0n, fence.seen) ? { offset: log.low, expect: null } : gap(`nothing was applied yet, but the topic starts at offset ${log.low}: its beginning is gone`);
  if (fence.offset > log.high) return gap(`the fence is ${fence.offset}, but the topic ends at ${log.high}: it was re-created or cut`);
  const position = positionOf(fence.offset, fence.seen);
  if (position < log.low) return gap(`everything before ${position} was read, but the topic starts at ${log.low}: changes between were deleted unread`);
  if (fence.offset <= log.low || fence.fingerprint === null) return { offset: fence.offset > log.low ? fence.offset : log.low, expect: null };
  return { offset: fence.offset - 1n, expect: fence.fingerprint };
}

/** How far a partition is read: its fence, or past the transaction markers behind it that were seen under the same fence. */
export function positionOf(fence: bigint, seen: string | null): bigint {
  const [at, position] = seen?.split(':') ?? [];
  return at === String(fence) && position !== undefined && BigInt(position) > fence ? BigInt(position) : fence;
}
