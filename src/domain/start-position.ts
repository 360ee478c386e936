/**
 * Where a newly assigned partition starts, or why it must not. Pure.
 * Never jumps: a log that does not reach from the fence on means that the topic was re-created or cut.
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
  | { halt: string };

/** `low` is the first offset the log still holds, `high` the next to be written. */
export function decideStart(fence: StoredFence, log: { low: bigint; high: bigint }): StartPosition {
  if (fence.offset === null) {
    if (log.low === 0n) return { offset: 0n, expect: null };
    return { halt: `nothing was applied yet, but the topic starts at offset ${log.low}: its beginning is gone` };
  }
  if (fence.offset > log.high) return { halt: `the fence is ${fence.offset}, but the topic ends at ${log.high}: it was re-created or cut` };
  const position = positionOf(fence.offset, fence.seen);
  if (position < log.low) return { halt: `everything before ${position} was read, but the topic starts at ${log.low}: changes between were deleted unread` };
  if (fence.offset <= log.low || fence.fingerprint === null) return { offset: fence.offset > log.low ? fence.offset : log.low, expect: null };
  return { offset: fence.offset - 1n, expect: fence.fingerprint };
}

/** How far a partition is read: its fence, or past the transaction markers behind it that were seen under the same fence. */
export function positionOf(fence: bigint, seen: string | null): bigint {
  const [at, position] = seen?.split(':') ?? [];
  return at === String(fence) && position !== undefined && BigInt(position) > fence ? BigInt(position) : fence;
}
