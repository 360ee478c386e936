/** What the outside may know of our workflows: names, ids, queues, inputs, results. Everyone may import this; it imports nothing. */
export const taskQueue = 'sluice';

export const heartbeatScheduleId = 'pipeline-heartbeat';
export const heartbeatWorkflowId = 'pipeline-heartbeat';

export interface HeartbeatResult {
  /** From the source's heartbeat row being written to its being seen in Redis, milliseconds, at most. */
  delayMs: number;
  /** ISO-8601 time of the heartbeat that arrived. */
  heartbeat: string;
}

/** Activities by capability; implementations live in src/activities. */
export interface HeartbeatActivities {
  /** Waits until a heartbeat at least as new as the source's row is in Redis. Safe to repeat: it only reads. */
  checkHeartbeat(): Promise<HeartbeatResult>;
}

/**
 * `topic`: from the beginning of the table's topic. `snapshot`: Debezium reads the table again while the stream goes on.
 * `all`: every table with a new replication slot, the way out when the old one is lost.
 */
export type RebuildMode = 'topic' | 'snapshot' | 'all';

export interface RebuildInput {
  tables: string[];
  mode: RebuildMode;
  /** Told in `cdc:status` while it lasts. */
  why: string;
}

export type RebuildPhase = 'planning' | 'draining' | 'reading' | 'applying' | 'sweeping' | 'done' | 'cancelled' | 'failed';

/** Answer of the query `rebuildProgress`, and the workflow's result. */
export interface RebuildProgress {
  mode: RebuildMode;
  phase: RebuildPhase;
  tables: string[];
  /** 1 at first; a TRUNCATE or a cut topic meanwhile costs another. */
  round: number;
  /** Rows that Debezium has read in this round, as far as it tells. */
  rowsRead: number;
  /** Rows there are to read; 0 while that is not known. */
  rowsTotal: number;
  /** Events the consumers have still to apply. */
  eventsLeft: number;
  /** Rows that were in Redis only. */
  rowsSwept: number;
  /** What a person should know, such as why another mode was taken. */
  note: string;
}

export const rebuildProgressQuery = 'rebuildProgress';
export const rebuildEverythingId = 'rebuild/all';
/** One table has an id of its own, so that two tables can be rebuilt at once and one table only once. */
export const rebuildWorkflowId = (tables: string[], mode: RebuildMode): string =>
  mode !== 'all' && tables.length === 1 ? `rebuild/${tables[0]}` : rebuildEverythingId;

/** What was true when a table's re-reading began. */
export interface RoundTable {
  table: string;
  generation: number;
  mark: string;
  /** Columns of the table, see src/replica/columns.ts; empty when there is no such table. */
  columns: string;
  /** Why its topic was called cut; empty when it was not. */
  cut: string;
  /** Generation of the stream's memory of its rows; absent when the stream does not read it again. */
  stream?: number;
}

export interface Round {
  tables: RoundTable[];
  /** Where Debezium's notifications ended, as text. */
  cursor: string;
}

/** Next offset to be written of a partition, as text. */
export interface NotedEnd {
  topic: string;
  partition: number;
  high: string;
}

/** How far Debezium's snapshot is, folded from its notifications. */
export interface Scan {
  /** Next notification to read. */
  cursor: string;
  /** Tables whose first chunk was seen: what is told of one before is of an earlier scan. */
  begun: string[];
  /** Debezium has taken up our signal. */
  started?: boolean;
  done: string[];
  rowsRead: Record<string, number>;
  rowsTotal: Record<string, number>;
  /** Why a table will not be done; empty while all is well. */
  failed: string;
  /** The connector makes its first snapshot again. */
  anew?: boolean;
  /** It has begun anew, and what it was asked before is forgotten. */
  lost?: boolean;
}

export interface RebuildActivities {
  /** The mode that can work, and why it is another than asked for. */
  planRebuild(tables: string[], mode: RebuildMode): Promise<{ mode: RebuildMode; note: string }>;
  announceRebuild(tables: string[], why: string): Promise<void>;
  /** Notes the ends, then sends the tables' fences back to the beginning. Repeated, it starts over. */
  rewindTables(tables: string[]): Promise<{ round: Round; ends: NotedEnd[] }>;
  /** Raises the generations; `anew` when the source's log begins anew. Repeated, it raises them again, which changes nothing that matters. */
  beginRound(tables: string[], anew?: boolean): Promise<Round>;
  /** Asks Debezium to read tables again; the same `signalId` asks once. */
  requestSnapshot(tables: string[], signalId: string): Promise<void>;
  /** Waits a moment for news of the snapshot; `initial`: of a new connector's first one. */
  followScan(tables: string[], scan: Scan, initial: boolean): Promise<Scan>;
  stopSnapshot(tables: string[], signalId: string): Promise<void>;
  noteEnds(tables: string[]): Promise<NotedEnd[]>;
  /** Waits a moment for the consumers to reach the ends; events that are left. */
  waitApplied(ends: NotedEnd[]): Promise<number>;
  /** Whether the tables were neither truncated nor altered nor begun anew since the round began. */
  isUndisturbed(round: Round): Promise<boolean>;
  /** Removes rows of older generations, then leaves `token` behind them; how many, null when Redis was emptied or went back since the round began. */
  sweepOlder(round: Round, token: string): Promise<number | null>;
  /** The tables are as they should be: nothing is said of them any more. True when they are not: Redis has forgotten the sweep that left `token`. */
  finishRebuild(round: Round, mode: RebuildMode, token: string): Promise<boolean>;
  /** Leaves the tables as they are and says so; `why` is empty when nothing is wrong with them. */
  abandonRebuild(tables: string[], why: string): Promise<void>;
  stopConnector(): Promise<void>;
  /** Drops the slot and Debezium's memory of it. */
  resetSource(): Promise<void>;
  resumeConnector(): Promise<void>;
  /** Takes the first record from each log that still has it: it has a gap and must not be taken for the whole again. */
  forgetHistory(tables: string[]): Promise<void>;
}

export const supervisorWorkflowId = 'supervise-connector';
export const supervisorStateQuery = 'supervisorState';

export interface SupervisorState {
  /** Restarts in a row that did not help. */
  failures: number;
  /** After many failures it is tried rarely, and every table says so. */
  breakerOpen: boolean;
  /** The connector is left alone until then, milliseconds since 1970. */
  notBeforeMs: number;
  /** The last thing that was found, for a person. */
  last: string;
}

export type Finding =
  | { kind: 'quiet' }
  /** The connector or a task is FAILED, or it runs and nothing comes. */
  | { kind: 'failed' | 'silent'; why: string }
  | { kind: 'recovered' }
  /** Changes are lost: the slot is gone, invalidated or another one. */
  | { kind: 'slot'; why: string }
  /** A table must be read again. */
  | { kind: 'stale'; table: string; why: string };

export interface SupervisorActivities {
  /** Watches until there is something to do, or for some minutes. The connector's state does not count in the first `quietMs`. */
  watchPipeline(failures: number, quietMs: number): Promise<Finding>;
  /** Restarts what failed, or everything. */
  restartConnector(onlyFailed: boolean): Promise<void>;
  /** Tells of every table that the connector does not come up; an empty reason takes it back. */
  reportConnector(why: string): Promise<void>;
  /** Tells of every table that changes are lost, then stops the connector. */
  haltForSlot(why: string): Promise<void>;
}
