/** The only importer of the Temporal client: connection, schedules, and workflows from outside. Workers are made in src/main. */
import { Client, Connection, ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy, WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { PipelineError } from '../domain/errors.ts';

export interface TemporalOptions {
  /** host:port of the frontend. */
  address: string;
  namespace: string;
}

export interface WorkflowSchedule {
  id: string;
  workflowType: string;
  workflowId: string;
  taskQueue: string;
  everySeconds: number;
  args?: unknown[];
  /** Slots missed while the server was away are made up for when they are no older; default a minute. */
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

export type TemporalClient = Awaited<ReturnType<typeof connectTemporal>>;

/** Throws PipelineError `temporal_unavailable` while the server does not answer. */
export async function connectTemporal({ address, namespace }: TemporalOptions) {
  const connection = await guard(() => Connection.connect({ address, connectTimeout: '3 seconds' }));
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
          policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: `${schedule.catchupMinutes ?? 1} minutes` as const },
        };
        try {
          await client.schedule.create({ scheduleId: schedule.id, ...options });
        } catch (error) {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          await client.schedule.getHandle(schedule.id).update((previous) => ({ ...options, state: previous.state }));
        }
      }),
    ...workflows(client),
    ...schedules(client),
    close: () => connection.close(),
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
    queryWorkflow: <T>(id: string, query: string): Promise<T | null> => orNull(() => client.workflow.getHandle(id).query<T>(query)),
    /** Asks it to cancel; false when it is not there or over. */
    cancelWorkflow: async (id: string): Promise<boolean> => (await orNull(() => client.workflow.getHandle(id).cancel())) !== null,
    signalWorkflow: (id: string, signal: string): Promise<boolean> => done(() => client.workflow.getHandle(id).signal(signal)),
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
    throw new PipelineError('temporal_unavailable', `Temporal did not answer (TEMPORAL_PORT; is the stack up? npx sluice up): ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
