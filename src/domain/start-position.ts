/**
 * Where a newly assigned partition starts, or why it must not. Pure.
 * Never jumps: a fence that the log does not reach means the topic was re-created or cut.
 */
export interface StoredFence {
  /** Last applied offset + 1; null when nothing was ever applied. */
  offset: bigint | null;
  /** Fingerprint of the record at `offset` − 1. */
  fingerprint: string | null;
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
  if (fence.offset < log.low) return { halt: `the fence is ${fence.offset}, but the topic starts at ${log.low}: changes between were deleted unread` };
  if (fence.offset === log.low || fence.fingerprint === null) return { offset: fence.offset, expect: null };
  return { offset: fence.offset - 1n, expect: fence.fingerprint };
}
