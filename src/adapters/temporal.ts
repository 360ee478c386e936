/** The only importer of the Temporal client: connection and schedules. Workers are made in src/main. */
import { Client, Connection, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
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
    close: () => connection.close(),
  };
}

async function guard<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new PipelineError('temporal_unavailable', `Temporal did not answer: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
