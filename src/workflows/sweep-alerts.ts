/** Takes alerts off the list in Redis that ended without saying so; once per schedule tick. */
import { proxyActivities } from '@temporalio/workflow';
import type { AlertSweepActivities } from './alert-contract.ts';

const { closeLostAlerts } = proxyActivities<AlertSweepActivities>({ startToCloseTimeout: '2 minutes', retry: { maximumAttempts: 3 }, summary: 'open alerts without a workflow' });

export const sweepAlerts = (): Promise<{ closed: number }> => closeLostAlerts();
