/**
 * Goal: workflows that are in flight survive this commit. Method: histories recorded from the real stack are replayed against
 * the workflows as they are now; one that would take another way fails.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from '@temporalio/worker';
import { workflowBundle } from '../temporal.ts';

const folder = 'test/replay/histories';

test('every recorded history replays', async () => {
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  assert.ok(names.length > 0);
  const histories = names.map((name) => ({ workflowId: name, history: JSON.parse(readFileSync(join(folder, name), 'utf8')) as object }));
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) assert.equal(error, undefined, `${workflowId}: ${error?.message}`);
});
