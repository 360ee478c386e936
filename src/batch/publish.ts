/**
 * The records of a batch run in Redis: loaded under the run's id, then made visible by one script that moves the pointers.
 * Invariants: no pointer leads to a run that is not whole; `latest` never moves to an earlier window end; a run is counted once.
 */
import type { RedisStore } from '../adapters/redis.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Keys } from '../domain/keys.ts';
import { recordTables, type RecordTable, type RowCounts, type RunReport, type Transformed } from '../workflows/batch-contract.ts';

export interface Publication {
  redis: RedisStore;
  keys: Keys;
  /** How long a run stays that another one has taken the place of: whoever has read its id can still read it, milliseconds. */
  supersededMs: number;
  /** How long a run stays that was made for its window alone, milliseconds. */
  keptMs: number;
}

export interface BatchRecord {
  id: string;
  /** JSON. */
  record: string;
}

/** A load that ends half way leaves nothing for ever. */
const loadingMs = 3_600_000;
/** One command holds Redis for well under a millisecond per hundred records. */
const fieldsMost = 200;
const bytesMost = 128 * 1024;
const failureKeptMs = 7 * 24 * 3_600_000;

/** Writes records under the run's id, unless it is published; repeated, it writes the same again. `onProgress` hears how many are sent. */
export async function loadTable({ redis, keys }: Publication, table: RecordTable, runId: string, records: AsyncIterable<BatchRecord[]>, onProgress: (written: number) => void): Promise<void> {
  const key = keys.batchRecords(table, runId);
  let written = 0;
  let inFlight: Promise<unknown> = Promise.resolve();
  for await (const chunk of records) {
    for (const fields of inCommands(chunk)) {
      const sent = redis.batchScript('load', [key, keys.batchSummary(runId)], [String(loadingMs), ...fields]);
      sent.catch(() => undefined); // told by whoever waits for it next
      await inFlight;
      inFlight = sent; // while Redis writes this one, the next is made
    }
    written += chunk.length;
    onProgress(written);
  }
  await inFlight;
}

/** Flat fields and values, no more in a command than Redis does in passing. */
function* inCommands(records: BatchRecord[]): Generator<string[]> {
  let fields: string[] = [];
  let bytes = 0;
  for (const { id, record } of records) {
    if (fields.length > 0 && (fields.length >= 2 * fieldsMost || bytes + record.length > bytesMost)) {
      yield fields;
      fields = [];
      bytes = 0;
    }
    fields.push(id, record);
    bytes += record.length;
  }
  if (fields.length > 0) yield fields;
}

/** Whether `latest` leads to this run. */
export const isLatest = async ({ redis, keys }: Publication, runId: string): Promise<boolean> => (await redis.strings([keys.batchLatest('customers')]))[0] === runId;

/** `incomplete`: Redis does not hold all that was loaded; it was emptied meanwhile. `again`: it was published before. */
export type Published = 'latest' | 'window' | 'none' | 'again' | 'incomplete';

/** Makes a loaded run visible. Error `redis_refused` when one of the keys is something else. */
export async function publish({ redis, keys, supersededMs, keptMs }: Publication, report: RunReport, insights: Transformed['insights'], nowMs: number): Promise<Published> {
  const { runId, window, startedMs } = report;
  const records = recordTables.map((table) => keys.batchRecords(table, runId));
  const pointers = [...recordTables.map((table) => keys.batchLatest(table)), ...recordTables.map((table) => keys.batchWindow(table, window.end))];
  const jobs = ['completed', 'last_duration', 'last_run', 'failed_in_a_row'].map((name) => keys.batchJobs(name));
  const seconds = ((nowMs - startedMs) / 1000).toFixed(3);
  return answered(
    await redis.batchScript(
      'publish',
      [...records, keys.batchSummary(runId), ...pointers, ...jobs],
      [
        runId,
        window.end,
        report.publish,
        ...recordTables.map((table) => String(insights.records_processed[table])),
        JSON.stringify({ ...summaryOf(report), ...insights }),
        seconds,
        new Date(nowMs).toISOString(),
        String(supersededMs),
        String(keptMs),
        keys.prefix,
        ...recordTables,
      ],
    ),
  ) as Published;
}

/** Counts a run that failed, once. How many scheduled runs have failed in a row, and since which window end: null when none has. */
export async function recordFailure({ redis, keys }: Publication, report: RunReport, why: string, isScheduled: boolean): Promise<{ runs: number; since: string | null }> {
  const summary = { ...summaryOf(report), error: why };
  const answer = await redis.batchScript(
    'fail',
    [keys.batchSummary(report.runId), keys.batchJobs('failed'), keys.batchJobs('failed_in_a_row'), keys.batchFailing],
    [JSON.stringify(summary), String(failureKeptMs), isScheduled ? '1' : '0', report.window.end],
  );
  const [runs, since] = String(answered(answer)).split(' ');
  return { runs: Number(runs), since: since || null };
}

function summaryOf({ runId, window, rows, quality, durations }: RunReport): object {
  return {
    run_id: runId,
    window,
    durations,
    quality_verdict: quality?.verdict ?? null,
    quality_findings: quality?.findings ?? [],
    rows_extracted: rows,
  };
}

function answered(answer: unknown): unknown {
  const text = String(answer);
  if (text.startsWith('type ')) throw new PipelineError('redis_refused', `${text.slice(5)} is not what a batch run keeps there: delete it, then run again`);
  return answer;
}

/** Takes back what a run has loaded, unless it is published. To be called before `recordFailure`, which leaves a summary too. */
export const dropLoaded = ({ redis, keys }: Publication, runId: string): Promise<unknown> =>
  redis.batchScript('drop', [keys.batchSummary(runId), ...recordTables.map((table) => keys.batchRecords(table, runId))], []);

/** The run that `latest` leads to and what its summary says it read; null when there is none. */
export async function lastGoodRows({ redis, keys }: Pick<Publication, 'redis' | 'keys'>): Promise<RowCounts | null> {
  const [runId] = await redis.strings([keys.batchLatest('customers')]);
  const [summary] = runId ? await redis.strings([keys.batchSummary(runId)]) : [];
  return summary ? (JSON.parse(summary) as { rows_extracted: RowCounts | null }).rows_extracted : null;
}
