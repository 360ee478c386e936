/** Proves the whole way from PostgreSQL to Redis, end to end, once per schedule tick. */
import { proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { HeartbeatActivities, HeartbeatResult } from './contract.ts';

const { checkHeartbeat } = proxyActivities<HeartbeatActivities>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '5 seconds', maximumAttempts: 3 },
  summary: 'heartbeat row arrives in Redis',
});

export async function pipelineHeartbeat(): Promise<HeartbeatResult> {
  const result = await checkHeartbeat();
  setCurrentDetails(`heartbeat of ${result.heartbeat} seen in Redis within ${result.delayMs} ms`);
  return result;
}
