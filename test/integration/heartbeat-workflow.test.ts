/** Goal: the schedule, the worker and the whole pipeline are wired: pipelineHeartbeat runs and sees the heartbeat arrive. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import type { HeartbeatResult } from '../../src/workflows/contract.ts';
import { until, useStack, type TestStack } from '../stack.ts';

let stack: TestStack;
before(async () => {
  stack = await useStack();
});
after(() => stack.stop());

test('a scheduled pipelineHeartbeat completes with a heartbeat seen in Redis', async () => {
  const connection = await Connection.connect({ address: `127.0.0.1:${stack.settings.TEMPORAL_PORT}` });
  try {
    const client = new Client({ connection, namespace: stack.settings.TEMPORAL_NAMESPACE });
    const query = "WorkflowType = 'pipelineHeartbeat' AND ExecutionStatus = 'Completed'";
    const run = await until('a completed run', async () => {
      for await (const execution of client.workflow.list({ query })) return execution;
      return undefined;
    });
    assert.match(run.workflowId, /^pipeline-heartbeat-/);
    const result = (await client.workflow.getHandle(run.workflowId, run.runId).result()) as HeartbeatResult;
    assert.ok(Date.parse(result.heartbeat) > 0);
    assert.ok(result.delayMs >= 0);
  } finally {
    await connection.close();
  }
});
