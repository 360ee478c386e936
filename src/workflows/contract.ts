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
