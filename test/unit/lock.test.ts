/** Goal: one holder at a time, and a holder that dies lets go. Method: a second process takes the lock and is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { tryLock, withLock } from '../../src/stack/lock.ts';

/** Names of locks are the machine's. */
const path = `/some/path/${process.pid}`;

test('a lock is held by one, per path and purpose', async () => {
  const held = await tryLock(path, 'test');
  assert.ok(held);
  assert.equal(await tryLock(path, 'test'), null);
  (await tryLock(path, 'another'))?.release();

  let waited = 0;
  const second = withLock(path, 'test', { onWait: () => void (waited += 1), signal: new AbortController().signal }, async () => 'done');
  await new Promise((resolve) => setImmediate(resolve));
  held.release();
  assert.equal(await second, 'done');
  assert.equal(waited, 1);
});

test('a holder that is killed leaves no lock behind', async () => {
  const script = `import { tryLock } from './src/stack/lock.ts'; await tryLock('${path}', 'killed'); console.log('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  assert.equal(await tryLock(path, 'killed'), null);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const lock = await tryLock(path, 'killed');
  assert.ok(lock);
  lock.release();
});
