/** Goal: whatever a command says, a program can read, and wrong usage is exit code 2. Method: the commands as they are registered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { runSluice } from '../stack.ts';

const leaves = (command: Command): Command[] => (command.commands.length === 0 ? [command] : command.commands.flatMap(leaves));
const pathOf = (command: Command): string => (command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name());

test('every command takes --json', async () => {
  const without = leaves(await createProgram()).filter(({ options }) => !options.some(({ long }) => long === '--json'));
  assert.deepEqual(without.map(pathOf), ['supervise'], 'which is none that a person calls');
});

const wrong: [args: string[], why: RegExp][] = [
  [['alerts', 'show', 'nonsense'], /nonsense is no alert/],
  [['backfill', '--from', '2026-11-05', '--to', '2026-11-01'], /must be before to/],
  [['backfill', '--from', '2026-11-05', '--to', '2099-11-01'], /is not over yet/],
  [['backfill', '--from', '2026-02-30', '--to', '2026-03-02'], /Give a time such as/],
  [['batch', 'run', '--window-end', '2099-11-01'], /is not over yet/],
  [['bench', 'z'], /Allowed choices are a, b/],
  [['up', '--foreground', '--json'], /cannot be used with/],
];

for (const [args, why] of wrong) {
  test(`sluice ${args.join(' ')} is wrong usage`, async () => {
    const { code, stderr } = await runSluice({}, args);
    assert.equal(code, 2);
    assert.match(stderr, why);
  });
}
