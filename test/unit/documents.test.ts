/**
 * Goal: what the documents say to type and what they quote is so. Method: every `sluice` line of their shell blocks is parsed by the real
 * command line with its actions taken out; every message that troubleshooting quotes is looked for in the sources.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';

const documents = ['README.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => join('docs', name))];
const textOf = (path: string): string => readFileSync(path, 'utf8');

/** Lines of `sh` blocks; one that ends in a backslash goes on. */
function shellLines(document: string): string[] {
  const blocks = [...textOf(document).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  return blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'));
}

/** Words as a shell would make them, without the comment; what stands in brackets may be left out and is tried. */
const wordsOf = (line: string): string[] => [...line.replace(/\s#.*$/, '').replaceAll(/[[\]]/g, '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare ?? '');

function withoutActions(command: Command): Command {
  command.action(() => undefined).exitOverride().configureOutput({ writeErr: () => undefined });
  for (const child of command.commands) withoutActions(child);
  return command;
}

test('every sluice line in the documents is one the command line takes', async () => {
  const lines = documents.flatMap((document) => shellLines(document).map((line) => ({ document, line: line.trim() }))).filter(({ line }) => line.startsWith('npx sluice '));
  assert.ok(lines.length > 10);
  const refused: string[] = [];
  for (const { document, line } of lines) {
    const words = wordsOf(line).slice(2);
    const isKnown = withoutActions(await createProgram()).parseAsync(words, { from: 'user' }).then(() => true, () => false);
    if (!(await isKnown)) refused.push(`${document}: ${line}`);
  }
  assert.deepEqual(refused, []);
});

test('every npm line in the documents is a script', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) => [...textOf(document).matchAll(/\bnpm (?:run )?(start|test|[\w:-]+)(?= --|`|\s|$)/g)].map(([line, name = '']) => ({ document, line, name })));
  const npmOwn = ['ci', 'audit', 'install', 'packages'];
  assert.deepEqual(named.filter(({ line, name }) => (line.includes('npm run') || ['start', 'test'].includes(name)) && !npmOwn.includes(name) && !(name in scripts)), []);
});

test('every message that troubleshooting quotes is one that is written somewhere', () => {
  const sources = readdirSync('.', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^(src|bin)(\/|$)/.test(entry.parentPath) && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => textOf(join(entry.parentPath, entry.name)));
  const quoted = textOf('docs/troubleshooting.md')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .flatMap((line) => [...line.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))
    .filter((text) => !text.startsWith('npx ') && text.includes(' '));
  const pieces = quoted.flatMap((text) => text.split('…')).map((piece) => piece.replace(/^[\W_]+|[\W_]+$/g, '')).filter((piece) => piece.includes(' '));
  assert.ok(pieces.length > 10);
  assert.deepEqual(pieces.filter((piece) => !sources.some((source) => source.includes(piece))), []);
});
