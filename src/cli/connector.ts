/** `sluice connector apply|status|restart`: the Debezium connector, by hand. Its supervisor restarts what fails by itself. */
import type { Command } from 'commander';
import { access } from '../access.ts';
import { connectRedis, type RedisStore } from '../adapters/redis.ts';
import { connectTemporal } from '../adapters/temporal.ts';
import { loadSettings, type Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { createKeys } from '../domain/keys.ts';
import { createReplicaStatus } from '../replica/status.ts';
import { connectClientOf, connectorName, registerConnector as register } from '../stack/connector.ts';
import { projectRoot } from '../stack/project.ts';
import { supervisorStateQuery, supervisorWorkflowId, type SupervisorState } from '../workflows/contract.ts';
import { unhealthyCode } from './status.ts';

interface ConnectorReport {
  state: string;
  tasks: string[];
  /** Null while Temporal or its worker does not answer. */
  supervisor: SupervisorState | null;
}

export function registerConnector(program: Command): void {
  const connector = program.command('connector').description('Look at the Debezium connector, apply its configuration, restart it');
  const add = (name: string, description: string, action: (settings: Settings) => Promise<object>): void => {
    connector
      .command(name)
      .description(description)
      .option('--json', 'as one JSON object')
      .action(async ({ json }: { json?: true }) => {
        const result = await action(loadSettings(undefined, projectRoot));
        console.log(json ? JSON.stringify(result, null, 2) : Object.entries(result).map(([field, value]) => `${field.padEnd(11)} ${describe(value)}`).join('\n'));
        if ('state' in result && result.state !== 'RUNNING') process.exitCode = unhealthyCode;
      });
  };
  add('status', 'Show connector, tasks and supervisor; exit code 3 when they do not run', report);
  add('apply', 'Register the connector as debezium/connector.json and the settings say; does nothing when it is', async (settings) => ({
    result: await withReplica(settings, (redis) => register(settings, redis)),
  }));
  add('restart', 'Restart connector and tasks, or resume them when they were stopped', restart);
}

async function report(settings: Settings): Promise<ConnectorReport> {
  const status = await connectClientOf(settings).connectorStatus(connectorName);
  if (status === null) throw new PipelineError('connect_refused', `No connector ${connectorName} is registered: run npx sluice connector apply`);
  const tasks = status.tasks.map(({ state }) => state);
  const runs = tasks.length > 0 && tasks.every((state) => state === 'RUNNING');
  return { state: status.connector.state === 'RUNNING' && !runs ? (tasks.find((state) => state !== 'RUNNING') ?? 'UNASSIGNED') : status.connector.state, tasks, supervisor: await readSupervisor(settings) };
}

async function readSupervisor(settings: Settings): Promise<SupervisorState | null> {
  try {
    const temporal = await connectTemporal(access.temporal(settings));
    try {
      return await temporal.queryWorkflow<SupervisorState>(supervisorWorkflowId, supervisorStateQuery);
    } finally {
      await temporal.close();
    }
  } catch (error) {
    if (error instanceof PipelineError) return null;
    throw error;
  }
}

async function restart(settings: Settings): Promise<{ result: string }> {
  const client = connectClientOf(settings);
  const lost = await withReplica(settings, (redis) => whySlotLost(settings, redis));
  if (lost) throw new PipelineError('slot_lost', lost);
  const state = (await client.connectorStatus(connectorName))?.connector.state;
  if (state === 'STOPPED' || state === 'PAUSED') {
    await client.resume(connectorName);
    return { result: 'resumed' };
  }
  await client.restart(connectorName, false);
  return { result: 'restarted' };
}

/** After changes were lost a restart would only hide it. */
async function whySlotLost(settings: Settings, redis: RedisStore): Promise<string | undefined> {
  const conditions = await createReplicaStatus(redis, createKeys(settings.REDIS_KEY_PREFIX)).conditions();
  return conditions.find(({ state, scope }) => state === 'halted' && scope === 'slot')?.why;
}

async function withReplica<T>(settings: Settings, work: (redis: RedisStore) => Promise<T>): Promise<T> {
  const redis = connectRedis({ ...access.replica(settings), name: 'sluice-connector', failFast: true });
  try {
    return await work(redis);
  } finally {
    await redis.close();
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ') || 'none';
  if (value === null) return 'unknown';
  if (typeof value !== 'object') return String(value);
  const { failures, breakerOpen, last } = value as SupervisorState;
  return `${failures} restarts in vain${breakerOpen ? ', tried rarely now' : ''}${last ? `; last found: ${last}` : ''}`;
}
