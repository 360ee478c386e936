/**
 * Every failure is classified by what happens next, never by its text.
 * `retry`: the outside world will come back. `dead-letter`: this record can never pass.
 * `pause`: a human is needed. `stop`: our bug or a bad setting.
 */
export type ErrorAction = 'retry' | 'dead-letter' | 'pause' | 'stop';

/** code → action, the one table. */
const actions = {
  kafka_unavailable: 'retry',
  kafka_refused: 'pause',
  partition_lost: 'retry',
  consumer_stuck: 'stop',
  consumer_behind: 'retry',
  redis_unavailable: 'retry',
  redis_out_of_memory: 'retry',
  redis_refused: 'stop',
  postgres_unavailable: 'retry',
  postgres_refused: 'stop',
  duckdb_refused: 'stop',
  duckdb_out_of_memory: 'pause',
  duckdb_disk: 'retry',
  batch_schema: 'pause',
  batch_inexact: 'stop',
  scratch_refused: 'retry',
  staging_full: 'stop',
  staging_lost: 'stop',
  staging_refused: 'retry',
  connect_unavailable: 'retry',
  connect_refused: 'stop',
  temporal_unavailable: 'retry',
  temporal_refused: 'dead-letter',
  channel_unavailable: 'retry',
  channel_refused: 'stop',
  source_refused: 'stop',
  slot_lost: 'pause',
  identity_mismatch: 'pause',
  topic_cut: 'pause',
  row_unreadable: 'pause',
  spec_changed: 'pause',
  partition_count_changed: 'pause',
  server_failed: 'stop',
  server_refused: 'stop',
  tool_missing: 'stop',
  server_unsound: 'stop',
  port_taken: 'stop',
  migration_changed: 'stop',
  bad_argument: 'stop',
  heartbeat_late: 'retry',
} as const satisfies Record<string, ErrorAction>;

export type ErrorCode = keyof typeof actions;

/** `message` is for a person: what happened, which setting, the fix. `details` never hold secrets or personal data. */
export class PipelineError extends Error {
  override name = 'PipelineError';
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  constructor(code: ErrorCode, message: string, options: { details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
  get action(): ErrorAction {
    return actions[this.code];
  }
}
