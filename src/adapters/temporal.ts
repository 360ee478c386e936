/** The only importer of the Temporal client: connection, schedules, and workflows from outside. Workers are made in src/main. */
import { Client, Connection, ScheduleAlreadyRunning, ScheduleOverlapPolicy, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
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
  note: string;
}

export interface WorkflowStart {
  id: string;
  type: string;
  taskQueue: string;
  args: unknown[];
  note: string;
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
            args: [],
            staticSummary: schedule.note,
          },
          policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' as const },
        };
        try {
          await client.schedule.create({ scheduleId: schedule.id, ...options });
        } catch (error) {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          await client.schedule.getHandle(schedule.id).update((previous) => ({ ...options, state: previous.state }));
        }
      }),
    /** Starts a workflow; false when one with this id is running already. */
    startWorkflow: ({ id, type, taskQueue, args, note }: WorkflowStart): Promise<boolean> =>
      guard(async () => {
        try {
          await client.workflow.start(type, { workflowId: id, taskQueue, args, staticSummary: note });
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
    close: () => connection.close(),
  };
}

async function orNull<T>(run: () => Promise<T>): Promise<T | null> {
  return guard(async () => {
    try {
      return await run();
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return null;
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
