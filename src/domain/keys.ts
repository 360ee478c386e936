/**
 * Every Redis key is built here (the public contract: docs/redis-keys.md).
 * Names are logical; `createKeys(prefix)` puts the pipeline's prefix before each.
 */
import { partitionName } from './topics.ts';

export type Keys = ReturnType<typeof createKeys>;

/** Logical name of a row: `order` + `17` → `order:17`. */
export const rowName = (entity: string, id: string): string => `${entity}:${id}`;
/** Logical names of the hashes and sets that rows contribute to. */
export const names = {
  live: (table: string) => `metrics:${table}`,
  revenue: 'metrics:revenue',
  ordersByStatus: 'metrics:orders:by_status',
  customersByState: 'metrics:customers:by_state',
  productsByCategory: 'metrics:products:by_category',
  product: (id: string) => `metrics:product:${id}`,
  customerOrders: (id: string) => `customer:${id}:orders`,
  stats: (table: string) => `cdc:stats:${table}`,
  streamStats: (table: string) => `stream:stats:${table}`,
  /** Of a minute of event time, such as `20261122_1400`. */
  window: (minute: string) => `realtime:metrics:${minute}`,
  newCustomers: (minute: string) => `realtime:geo:customers:${minute}`,
  /** Those among them that a snapshot has told of. */
  readCustomers: (minute: string) => `stream:read:customers:${minute}`,
  velocity: (product: string) => `realtime:product:${product}:velocity`,
  activity: (customer: string) => `realtime:customer:${customer}:activity`,
} as const;

export function createKeys(prefix: string) {
  const key = (name: string): string => prefix + name;
  return {
    /** Any logical name → the real key. */
    of: key,
    prefix,
    row: (entity: string, id: string) => key(rowName(entity, id)),
    statsTotal: key('cdc:stats:total'),
    status: key('cdc:status'),
    heartbeat: key('cdc:heartbeat'),
    changes: (table: string) => key(`cdc:changes:${table}`),
    /** The fence: last applied offset + 1. */
    offset: (topic: string, partition: number) => key(`cdc:offset:${partitionName({ topic, partition })}`),
    /**
     * Hash per partition: `epoch` of its owner, `last` = fingerprint of the record before the fence, `ts_ms` = Kafka's time of it,
     * `seen` = `<fence>:<position>`: while the fence is that, everything before the position was read and nothing is missing.
     */
    owner: (topic: string, partition: number) => key(`cdc:fence:owner:${partitionName({ topic, partition })}`),
    /** Hash, one per pipeline: `spec`, `partitions:<topic>`. */
    pipeline: key('cdc:fence:pipeline'),
    /** String (JSON): generation, truncate mark and sweeps of a table; part of every commit's fence. */
    tableState: (table: string) => key(`cdc:fence:table:${table}`),
    /** String: who this prefix belongs to. */
    identity: key('cdc:fence:identity'),
    /** String with expiry: verify asks the consumers to stop before the first event outside its snapshot. */
    hold: key('cdc:fence:hold'),
    /** Hash `<table> <state> <scope>` → why: what keeps a table from just running. */
    conditions: key('cdc:fence:conditions'),
    /** Hash `<table>` → the columns its rows were read with. */
    columns: key('cdc:fence:columns'),
    /** Hash `<topic>-<partition>` → hold token: which partitions have stopped. */
    held: key('cdc:fence:held'),
    /** String: offset last applied to a key that has an open dead letter, −1 when there was none. */
    parked: (table: string, id: string) => key(`cdc:parked:${table}:${id}`),
    /** Hash id → record (JSON) of one batch run. */
    batchRecords: (table: string, runId: string) => key(`batch_etl:${table}:${runId}`),
    /** String: id of the run whose window ends last. The pointers of a run flip together. */
    batchLatest: (table: string) => key(`batch_etl:${table}:latest`),
    /** String: id of the run for the window that ends then. */
    batchWindow: (table: string, windowEnd: string) => key(`batch_etl:${table}:window:${windowEnd}`),
    /** String (JSON). */
    batchSummary: (runId: string) => key(`batch_summary:${runId}`),
    /** Strings: completed, failed, last_duration (seconds), last_run, failed_in_a_row. */
    batchJobs: (name: string) => key(`batch_jobs:${name}`),
    /** Hash: `since`, the window end by which the alert of the scheduled runs that fail is named. */
    batchFailing: key('batch_jobs:failing'),
    /** String: the last minute that is closed. */
    windowLatest: key('realtime:metrics:latest'),
    /** Hash: what a person needs to know of an alert; until a day after its end. */
    alert: (type: string, alertId: string) => key(`alerts:${type}:${alertId}`),
    /** Sorted set of `<type>:<alertId>` by opening time, milliseconds. */
    alertsOpen: key('alerts:open'),
    /** Sorted set of notices by time, a minute of them: how many alerts of a type were to be told of, by kind of notice. */
    alertStorm: (type: string, kind: string) => key(`alerts:storm:${type}:${kind}`),
    /** String: the notice that tells for all others of the storm that goes on. */
    alertStormLead: (type: string, kind: string) => key(`alerts:storm:${type}:${kind}:lead`),
    /** String: what was decided of a notice. */
    alertAdmission: (noticeId: string) => key(`alerts:admitted:${noticeId}`),
    /** String: the alert that has told the others that this channel fails. */
    alertChannelFailure: (channel: string) => key(`alerts:failing:${channel}`),
    /** String beside it: which of the key's dead letters may still be applied. */
    parkedMark: (table: string, id: string) => key(`cdc:fence:parked:${table}:${id}`),
    /** Hash `<set>` → 1: what a batch run has staged, whole or not. */
    stagedSets: (runId: string) => key(`batch_staging:${runId}`),
    /** Hash `<file>` → bytes: what a set is made of, entered before the first part is written. Sets are `<runId>/<attempt>/<what>`. */
    stagedFiles: (set: string) => key(`batch_staging:${set}`),
    /** String (JSON): the same once the set is whole. */
    stagedManifest: (set: string) => key(`batch_staging:${set}:manifest`),
    /** String: one part of a staged file. */
    stagedPart: (set: string, file: string, part: number) => key(`batch_staging:${set}:${file}:${part}`),
  };
}

/**
 * A processor's own fence, memory of rows and counts, all under `<name>:`: beside the replica's, never mixed with it. Rows are named by
 * their tables. What is the matter with a table is told in one place, whoever finds it.
 */
export function processorKeys(name: string, keys: Keys): Keys {
  const of = (rest: string): string => keys.of(`${name}:${rest}`);
  return {
    ...keys,
    statsTotal: of('stats:total'),
    heartbeat: of('heartbeat'),
    changes: (table) => of(`changes:${table}`),
    offset: (topic, partition) => of(`offset:${partitionName({ topic, partition })}`),
    owner: (topic, partition) => of(`fence:owner:${partitionName({ topic, partition })}`),
    pipeline: of('fence:pipeline'),
    tableState: (table) => of(`fence:table:${table}`),
    hold: of('fence:hold'),
    held: of('fence:held'),
    parked: (table, id) => of(`fence:parked:${table}:${id}`),
    parkedMark: (table, id) => of(`fence:parked-mark:${table}:${id}`),
  };
}

export const streamKeys = (keys: Keys): Keys => processorKeys('stream', keys);
