/** Goal: a taken port is said with its number, its variable and its owner before anything is started. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { loadSettings } from '../../src/config.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { findFreePort, portSettings, probePort, requireFreePorts } from '../../src/stack/ports.ts';

async function freeEnvironment(): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const name of portSettings) env[name] = String(await findFreePort());
  return env;
}

test('free ports pass; a taken one is named with its variable and owner, and so are twins', async () => {
  const env = await freeEnvironment();
  await requireFreePorts(loadSettings(env, '/nonexistent'));

  const server = createServer();
  await new Promise<void>((resolve) => server.listen(Number(env['REDIS_PORT']), '127.0.0.1', resolve));
  await probePort(Number(env['REDIS_PORT']));
  try {
    const settings = loadSettings({ ...env, KAFKA_PORT: env['POSTGRES_PORT'] }, '/nonexistent');
    await requireFreePorts(loadSettings({ ...env, REDIS_HOST: 'localhost' }, '/nonexistent')); // not ours to open
    await assert.rejects(requireFreePorts(settings), (error) => {
      assert.ok(error instanceof PipelineError && error.code === 'port_taken');
      assert.match(error.message, new RegExp(`Port ${env['REDIS_PORT']} \\(REDIS_PORT\\) is taken by pid ${process.pid} \\(`));
      assert.match(error.message, /KAFKA_PORT and POSTGRES_PORT are both/);
      return true;
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  await assert.rejects(probePort(Number(env['REDIS_PORT'])));
});
