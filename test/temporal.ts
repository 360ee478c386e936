/** A real Temporal server and a worker with the built workflows for one test file; activities are the test's own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { loadSettings } from '../src/config.ts';
import { findFreePort } from '../src/stack/ports.ts';
import { createProgress } from '../src/stack/progress.ts';
import { temporalServer } from '../src/stack/temporal.ts';
import { fetchTools } from '../src/stack/tools.ts';
import { taskQueue } from '../src/workflows/contract.ts';
import { until } from './stack.ts';

/** Written by the build that `npm test` begins with. */
export const workflowBundle = { codePath: 'dist/workflow-bundle.js' };

export interface TestTemporal {
  client: Client;
  /** host:port of the frontend. */
  address: string;
  stop: () => Promise<void>;
}

Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });

export interface TestTemporalOptions {
  /** After so many events a workflow is advised to continue as new. */
  suggestedHistoryEvents?: number;
  /** The time in which nothing happens in a workflow is left out. */
  skipTime?: boolean;
}

export async function startTemporal(activities: object, { suggestedHistoryEvents = 4096, skipTime = false }: TestTemporalOptions = {}): Promise<TestTemporal> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  const settings = loadSettings({
    SLUICE_DATA_DIR: dir,
    SLUICE_TOOLS_DIR: process.env['SLUICE_TOOLS_DIR'] ?? '',
    TEMPORAL_PORT: String(await findFreePort()),
    TEMPORAL_UI_PORT: String(await findFreePort()),
  });
  const { signal } = new AbortController();
  const spec = temporalServer(settings, await fetchTools(settings.SLUICE_TOOLS_DIR, createProgress(() => undefined), signal));
  const dynamic = [`limit.historyCount.suggestContinueAsNew=${suggestedHistoryEvents}`, `frontend.WorkflowTimeSkippingEnabled=${skipTime}`].flatMap((value) => ['--dynamic-config-value', value]);
  const start = async (): Promise<ChildProcess> => {
    const { file, args, env } = await spec.command(signal);
    return spawn(file, [...args, ...dynamic], { env, stdio: 'ignore' });
  };
  let server = await start();
  await until('Temporal', async () => {
    if (server.exitCode !== null) server = await start(); // another process has taken a port that it had picked
    return (spec.ready as () => Promise<unknown>)().then(() => true, () => false);
  });
  const address = `127.0.0.1:${settings.TEMPORAL_PORT}`;
  const [connection, workerConnection] = await Promise.all([Connection.connect({ address }), NativeConnection.connect({ address })]);
  if (skipTime) skipTimeOf(connection);
  const worker = await Worker.create({ connection: workerConnection, namespace: settings.TEMPORAL_NAMESPACE, taskQueue, workflowBundle, activities, maxHeartbeatThrottleInterval: '2 seconds' });
  const run = worker.run();
  return {
    client: new Client({ connection, namespace: settings.TEMPORAL_NAMESPACE }),
    address,
    stop: async () => {
      worker.shutdown();
      await run;
      await Promise.all([connection.close(), workerConnection.close()]);
      const gone = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGTERM');
      await gone;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Every workflow that is started over `connection` skips time; the server knows it, the client does not yet. */
function skipTimeOf({ workflowService }: Connection): void {
  const skipping = <F>(call: F): F => {
    const start = (call as (request: object, ...rest: unknown[]) => unknown).bind(workflowService);
    return ((request: object, ...rest: unknown[]) => start({ ...request, timeSkippingConfig: { enabled: true } }, ...rest)) as F;
  };
  workflowService.startWorkflowExecution = skipping(workflowService.startWorkflowExecution);
  workflowService.signalWithStartWorkflowExecution = skipping(workflowService.signalWithStartWorkflowExecution);
}
