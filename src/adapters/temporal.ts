/** The only importer of the Temporal client: connection, schedules, and workflows from outside. Workers are made in src/main. */
import { Client, Connection, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy, WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError, WorkflowUpdateFailedError, isGrpcServiceError, type TLSConfig } from '@temporalio/client';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';
import type { TlsOptions } from './tls.ts';

export interface TemporalOptions {
  /** host:port of the frontend. */
  address: string;
  namespace: string;
  /** With `cert` and `key`, both PEM, we show who we are. */
  tls?: TlsOptions & { cert?: string; key?: string };
  apiKey?: Secret;
}

/** As the client and the worker of the SDK take it. */
export function connectionOptions({ address, tls, apiKey }: TemporalOptions): { address: string; tls?: TLSConfig; apiKey?: string } {
  const pair = tls?.cert && tls.key ? { clientCertPair: { crt: Buffer.from(tls.cert), key: Buffer.from(tls.key) } } : {};
  return {
    address,
    ...(tls && { tls: { ...(tls.ca && { serverRootCACertificate: Buffer.from(tls.ca) }), ...pair } }),
    ...(apiKey && { apiKey: apiKey.reveal() }),
  };
}

export interface WorkflowSchedule {
  id: string;
  workflowType: string;
  workflowId: string;
  taskQueue: string;
  everySeconds: number;
  args?: unknown[];
  /** Slots missed while the server was away are made up for when they are no older; default a minute, and never less than the interval. */
  catchupMinutes?: number;
  note: string;
  /** Markdown, shown on each run's page. */
  details?: string;
}

export interface ScheduleState {
  everySeconds: number;
  paused: boolean;
  /** Why it is paused, or what was said last. */
  note: string;
  nextAt: Date | null;
  /** Workflow ids of runs that go on. */
  running: string[];
}

export interface WorkflowStart {
  id: string;
  type: string;
  taskQueue: string;
  args: unknown[];
  note: string;
  /** Markdown, shown on the run's page. */
  details?: string;
}

/** As Temporal names them: RUNNING, COMPLETED, FAILED, CANCELLED, TERMINATED, TIMED_OUT, … */
export interface WorkflowState {
  status: string;
  startedAt: Date;
}

/** A workflow that is running, as Temporal's list shows it. */
export interface ListedWorkflow {
  id: string;
  startedAt: Date;
  attributes: Record<string, unknown>;
}

export type TemporalClient = Awaited<ReturnType<typeof connectTemporal>>;

/** Throws PipelineError `temporal_unavailable` while the server does not answer. */
export async function connectTemporal(options: TemporalOptions) {
  const { namespace } = options;
  const connection = await guard(() => Connection.connect({ ...connectionOptions(options), connectTimeout: '3 seconds' }));
  const client = new Client({ connection, namespace });
  return {
    /** Creates the schedule, or brings an existing one up to date; whether it is paused stays the operator's word. */
    ensureSchedule: (schedule: WorkflowSchedule) =>
      guard(async () => {
        const options = {
          spec: { intervals: [{ every: `${schedule.everySeconds} seconds` as const }] },
          action: {
            type: 'startWorkflow' as const,
            workflowType: schedule.workflowType,
            workflowId: schedule.workflowId,
            taskQueue: schedule.taskQueue,
            args: schedule.args ?? [],
            staticSummary: schedule.note,
            ...(schedule.details && { staticDetails: schedule.details }),
          },
          policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: `${Math.max(60 * (schedule.catchupMinutes ?? 1), schedule.everySeconds)} seconds` as const },
        };
        try {
          await client.schedule.create({ scheduleId: schedule.id, ...options });
        } catch (error) {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          await client.schedule.getHandle(schedule.id).update((previous) => ({ ...options, state: previous.state }));
        }
      }),
    ...namespaceOf(connection, namespace),
    ...workflows(client),
    ...conversations(client),
    ...schedules(client),
    close: () => connection.close(),
  };
}

/** Temporal's numbers for the types of search attributes. */
const attributeTypes = { Keyword: 2, Int: 3, Datetime: 6 } as const;
export type AttributeType = keyof typeof attributeTypes;

/** What the namespace must have. */
function namespaceOf(connection: Connection, namespace: string) {
  return {
    requireNamespace: () =>
      guard(async () => {
        try {
          await connection.workflowService.describeNamespace({ namespace });
        } catch (error) {
          if (codeOf(error) !== notFound) throw error;
          throw new PipelineError('server_refused', `Temporal has no namespace ${namespace}: set TEMPORAL_NAMESPACE, or make it: temporal operator namespace create --namespace ${namespace} --retention 7d`);
        }
      }),
    /** Registers what is missing. Throws `server_refused` when the server does not let us. */
    ensureSearchAttributes: (wanted: Record<string, AttributeType>): Promise<void> =>
      guard(async () => {
        const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
        const missing = Object.entries(wanted).filter(([name]) => !(name in (customAttributes ?? {})));
        if (missing.length === 0) return;
        try {
          await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, attributeTypes[type]])) });
        } catch (error) {
          if (codeOf(error) !== permissionDenied) throw error;
          throw new PipelineError('server_refused', `Temporal does not let us add search attributes to ${namespace}: have its administrator add ${missing.map(([name, type]) => `${name} (${type})`).join(', ')}`, { cause: error });
        }
      }),
  };
}

/** What is asked of workflows, by their id. */
function workflows(client: Client) {
  return {
    /** Starts a workflow; false when one with this id is running already. */
    startWorkflow: ({ id, type, taskQueue, args, note, details }: WorkflowStart): Promise<boolean> =>
      guard(async () => {
        try {
          await client.workflow.start(type, { workflowId: id, taskQueue, args, staticSummary: note, ...(details && { staticDetails: details }) });
          return true;
        } catch (error) {
          if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
          throw error;
        }
      }),
    /** The newest run under this id; null when there was none that is still kept. */
    describeWorkflow: (id: string): Promise<WorkflowState | null> =>
      orNull(async () => {
        const { status, startTime } = await client.workflow.getHandle(id).describe();
        return { status: status.name, startedAt: startTime };
      }),
    /** Answer of a query; null when there is no such workflow. Needs a worker. */
    queryWorkflow: <T>(id: string, query: string): Promise<T | null> => orNull(() => client.withDeadline(Date.now() + answerMs, () => client.workflow.getHandle(id).query<T>(query))),
    /** Asks it to cancel; false when it is not there or over. */
    cancelWorkflow: async (id: string): Promise<boolean> => (await orNull(() => client.workflow.getHandle(id).cancel())) !== null,
    signalWorkflow: (id: string, signal: string, ...args: unknown[]): Promise<boolean> => done(() => client.workflow.getHandle(id).signal(signal, ...args)),
    /** What a workflow came to, once it is over; null unless it completed. */
    awaitResult: async <T>(id: string): Promise<T | null> =>
      guard(async () => {
        try {
          return (await client.workflow.getHandle(id).result()) as T;
        } catch (error) {
          if (error instanceof WorkflowFailedError) return null;
          throw error;
        }
      }),
    /** Workflow ids of this type that are running, the newest first; at most a hundred. */
    listRunning: (type: string): Promise<string[]> =>
      guard(async () => {
        const ids: string[] = [];
        for await (const { workflowId } of client.workflow.list({ query: `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`, pageSize: 100 })) {
          ids.push(workflowId);
          if (ids.length === 100) break;
        }
        return ids;
      }),
  };
}

/** What is said to workflows that may not be there yet, or may answer. */
function conversations(client: Client) {
  return {
    /**
     * Signals the workflow and starts it first when it was never there. False when one of this id was there and is over: it is not
     * started twice. Throws `temporal_refused` for what Temporal will never accept.
     */
    signalWithStart: ({ id, type, taskQueue, args, note, details }: WorkflowStart, signal: string, signalArgs: unknown[]): Promise<boolean> =>
      guard(async () => {
        try {
          const options = { workflowId: id, taskQueue, args, signal, signalArgs, workflowIdReusePolicy: 'REJECT_DUPLICATE' as const, staticSummary: note, ...(details && { staticDetails: details }) };
          await client.workflow.signalWithStart(type, options);
          return true;
        } catch (error) {
          if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
          if (codeOf(error) === invalidArgument) throw new PipelineError('temporal_refused', `Temporal refuses ${type}: ${messageOf(error)}`, { cause: error });
          throw error;
        }
      }),
    /** The update's answer; null when there is no such workflow that goes on. Throws `bad_argument` with the workflow's own words when it refuses. Needs a worker. */
    updateWorkflow: <T>(id: string, update: string, args: [unknown, ...unknown[]]): Promise<T | null> =>
      orNull(async () => {
        try {
          return await client.withDeadline(Date.now() + answerMs, () => client.workflow.getHandle(id).executeUpdate<T, [unknown, ...unknown[]]>(update, { args }));
        } catch (error) {
          if (error instanceof WorkflowUpdateFailedError) throw new PipelineError('bad_argument', messageOf(error.cause ?? error), { cause: error });
          throw error;
        }
      }),
    /** Those of a type that are running, the newest first; at most a thousand. */
    listOpen: (type: string): Promise<ListedWorkflow[]> =>
      guard(async () => {
        const found: ListedWorkflow[] = [];
        for await (const { workflowId, startTime, typedSearchAttributes } of client.workflow.list({ query: `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`, pageSize: 500 })) {
          found.push({ id: workflowId, startedAt: startTime, attributes: Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])) });
          if (found.length === 1000) break;
        }
        return found;
      }),
  };
}

/** How long a worker may take to answer. */
const answerMs = 15_000;
/** gRPC's numbers. */
const [invalidArgument, notFound, permissionDenied] = [3, 5, 7];

/** gRPC's number for what went wrong; undefined for what is not gRPC's. */
const codeOf = (error: unknown): number | undefined => {
  const root = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return isGrpcServiceError(root) ? Number(root.code) : undefined;
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What is asked of a schedule, by its id; null when there is none. */
function schedules(client: Client) {
  return {
    describeSchedule: (id: string): Promise<ScheduleState | null> =>
      orNull(async () => {
        const { spec, state, info } = await client.schedule.getHandle(id).describe();
        return {
          everySeconds: (spec.intervals?.[0]?.every ?? 0) / 1000,
          paused: state.paused,
          note: state.note ?? '',
          nextAt: info.nextActionTimes[0] ?? null,
          running: info.runningActions.map(({ workflow }) => workflow.workflowId),
        };
      }),
    pauseSchedule: (id: string, note: string): Promise<boolean> => done(() => client.schedule.getHandle(id).pause(note)),
    resumeSchedule: (id: string, note: string): Promise<boolean> => done(() => client.schedule.getHandle(id).unpause(note)),
  };
}

/** False when there is nothing of this id. */
const done = async (run: () => Promise<void>): Promise<boolean> =>
  (await orNull(async () => {
    await run();
    return true;
  })) !== null;

async function orNull<T>(run: () => Promise<T>): Promise<T | null> {
  return guard(async () => {
    try {
      return await run();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError) return null;
      throw error;
    }
  });
}

async function guard<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError('temporal_unavailable', `Temporal did not answer (TEMPORAL_ADDRESS, TEMPORAL_PORT; is the stack up? npx sluice up): ${messageOf(error)}`, { cause: error });
  }
}
