/**
 * Goal: what the README says to type under "See it work" works, word for word. Method: its lines run in bash against the stack, with the
 * stack's ports and folder; where psql or redis-cli is not installed, a few lines of Node take its place.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { projectRoot } from '../../src/stack/project.ts';
import { useStack, withoutGenerator, type TestStack } from '../stack.ts';

let stack: TestStack;
const dir = mkdtempSync(join(tmpdir(), 'sluice-readme-'));
before(async () => {
  stack = await useStack();
});
after(async () => {
  rmSync(dir, { recursive: true });
  await stack.stop();
});

const instead: Record<string, string> = {
  psql: `const pg = require('pg'); const [, , , host, , port, , user, database, , text] = process.argv.slice(1);
    const db = new pg.Client({ host, port, user, database, password: process.env.PGPASSWORD });
    db.connect().then(() => db.query({ text, rowMode: 'array' })).then(({ rows }) => { for (const row of rows) console.log(row.join('|')); return db.end(); });`,
  'redis-cli': `const { Redis } = require('ioredis'); const [, , port, ...command] = process.argv.slice(1);
    const redis = new Redis(port, { password: process.env.REDISCLI_AUTH });
    redis.call(...command).then((reply) => { console.log([reply].flat().join('\\n')); return redis.quit(); });`,
};

function withTools(): Record<string, string> {
  const missing = Object.keys(instead).filter((name) => spawnSync('which', [name]).status !== 0);
  mkdirSync(join(dir, 'bin'));
  for (const name of missing) {
    writeFileSync(join(dir, `${name}.cjs`), `const require = module.require.bind(module); ${instead[name]}`);
    writeFileSync(join(dir, 'bin', name), `#!/bin/sh\nNODE_PATH=${join(projectRoot, 'node_modules')} exec ${process.execPath} ${join(dir, `${name}.cjs`)} "$@"\n`);
    chmodSync(join(dir, 'bin', name), 0o755);
  }
  return { PATH: `${join(dir, 'bin')}:${process.env['PATH']}` };
}

test('a customer that is inserted and moved as the README says is seen in Redis as it says', async () => {
  const [, block = ''] = /## See it work[\s\S]*?```sh\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  assert.match(block, /INSERT INTO customers/);
  const { POSTGRES_PORT, REDIS_PORT, SLUICE_DATA_DIR } = stack.settings;
  const here = block.replaceAll('./.sluice/', `${SLUICE_DATA_DIR}/`).replaceAll('15432', String(POSTGRES_PORT)).replaceAll('16379', String(REDIS_PORT));
  const seen = (text: string): string => `\nuntil redis-cli -p ${REDIS_PORT} GET customer:$id | grep -q '${text}'; do sleep 0.2; done`;
  const [untilRow = '', rest = ''] = here.split(/(?=\nshop "UPDATE)/);
  const paced = `${untilRow.replace('\nredis-cli', `${seen('Ada')}\nredis-cli`)}${rest.replace('\nredis-cli', `${seen('"NY"')}\nredis-cli`)}`;
  const { status, stdout, stderr } = await withoutGenerator(stack, async () => spawnSync('bash', ['-euo', 'pipefail', '-c', paced], { encoding: 'utf8', timeout: 120_000, env: { ...process.env, ...withTools() } }));
  assert.equal(status, 0, stderr);
  const [row = '', ...states] = stdout.trim().split('\n').filter((line) => !line.startsWith('UPDATE'));
  assert.equal((JSON.parse(row) as Record<string, unknown>)['first_name'], 'Ada');
  assert.ok(Number(states[states.indexOf('NY') + 1]) > 0, stdout);
});
