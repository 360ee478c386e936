/** `sluice rebuild`: tables read again from their topics; `rebuild status` and `rebuild cancel` are for `resync` as well. */
import { Option, type Command } from 'commander';
import { rebuildEverythingId, rebuildProgressQuery, rebuildWorkflowId, type RebuildProgress } from '../workflows/contract.ts';
import { describeProgress, replicated, requestRebuild } from './follow-rebuild.ts';
import { unlessAway, withTemporal, type FollowOptions } from './follow-workflow.ts';

const tableOption = () => new Option('--table <table>', 'one table instead of all').choices(replicated);
const everyId = [rebuildEverythingId, ...replicated.map((table) => rebuildWorkflowId([table], 'topic'))];

export function registerRebuild(program: Command): void {
  const rebuild = program
    .command('rebuild')
    .description('Make the replica anew from the topics, or from the source where a topic is not whole; the stream goes on')
    .addOption(tableOption())
    .option('--detach', 'start it and return')
    .option('--json', 'the result as one JSON object')
    .action(({ table, ...options }: FollowOptions & { table?: string }) =>
      requestRebuild({ tables: table ? [table] : replicated, mode: 'topic', why: 'sluice rebuild' }, options),
    );
  rebuild
    .command('status')
    .description('Show running and past rebuilds and re-syncs')
    .option('--json', 'as one JSON object')
    .action((_options: object, command: Command) => showRebuilds(command.optsWithGlobals<{ json?: true }>().json === true));
  rebuild
    .command('cancel')
    .description('Stop running rebuilds and re-syncs')
    .addOption(tableOption())
    .option('--json', 'as one JSON object')
    .action((_options: object, command: Command) => cancelRebuilds(command.optsWithGlobals<{ table?: string; json?: true }>()));
}

async function showRebuilds(json: boolean): Promise<void> {
  await withTemporal(async (temporal) => {
    const found: Record<string, { status: string; startedAt: Date; progress: RebuildProgress | null }> = {};
    for (const id of everyId) {
      const state = await temporal.describeWorkflow(id);
      if (state) found[id] = { ...state, progress: (await unlessAway(() => temporal.queryWorkflow<RebuildProgress>(id, rebuildProgressQuery))) ?? null };
    }
    if (json) console.log(JSON.stringify(found, null, 2));
    else if (Object.keys(found).length === 0) console.log('Nothing has been rebuilt.');
    else for (const [id, { status, startedAt, progress }] of Object.entries(found)) console.log(`${id.padEnd(20)} ${status.toLowerCase().padEnd(10)} ${startedAt.toISOString()}  ${progress ? describeProgress(progress) : 'the worker does not answer'}`);
  });
}

async function cancelRebuilds({ table, json }: { table?: string; json?: true }): Promise<void> {
  await withTemporal(async (temporal) => {
    const ids = table ? [rebuildWorkflowId([table], 'topic')] : everyId;
    const cancelled: string[] = [];
    for (const id of ids) {
      if ((await temporal.describeWorkflow(id))?.status !== 'RUNNING') continue;
      await temporal.cancelWorkflow(id);
      cancelled.push(id);
    }
    if (json) console.log(JSON.stringify({ cancelled }, null, 2));
    else console.log(cancelled.length === 0 ? 'Nothing is being rebuilt.' : cancelled.map((id) => `Cancelling ${id}. What is true of its tables afterwards: npx sluice status`).join('\n'));
  });
}
