/** `sluice resync`: tables read again from the source while the stream goes on; `--all` with a new replication slot. */
import { Argument, type Command } from 'commander';
import { replicated, requestRebuild } from './follow-rebuild.ts';
import type { FollowOptions } from './follow-workflow.ts';

export function registerResync(program: Command): void {
  const resync = program
    .command('resync')
    .description('Read a table again from the source and remove what is in Redis only; the stream goes on')
    .addArgument(new Argument('[table]', 'the table').choices(replicated))
    .option('--all', 'all tables, with a new replication slot: the way out when the slot was lost or re-created')
    .option('--detach', 'start it and return')
    .option('--json', 'the result as one JSON object')
    .action(async (table: string | undefined, { all, ...options }: FollowOptions & { all?: true }) => {
      if ((table === undefined) === (all === undefined)) resync.error('error: name one table, or say --all');
      await requestRebuild({ tables: table ? [table] : replicated, mode: all ? 'all' : 'snapshot', why: `sluice resync ${table ?? '--all'}` }, options);
    });
}
