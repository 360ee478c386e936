/** Goal: what the stack writes for others (secrets, access list, state) is exact, private and readable again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError, loadSettings, readEnvFile, secretNames, secretsFile } from '../../src/config.ts';
import { Secret } from '../../src/domain/secret.ts';
import { isRecorded } from '../../src/stack/postgres.ts';
import { scramVerifier } from '../../src/stack/migrations.ts';
import { accessList } from '../../src/stack/redis.ts';
import { settleSecrets } from '../../src/stack/secrets.ts';
import { identityOf, isAlive, readStackRecord, writeStackRecord } from '../../src/stack/state-file.ts';
import { formatCents } from '../../src/stack/figures.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-files-'));
after(() => rmSync(dir, { recursive: true }));
const settingsWith = (env: Record<string, string>) => loadSettings({ SLUICE_DATA_DIR: dir, ...env }, dir);

test('passwords are generated once, recorded privately, and given ones win and are recorded too', () => {
  const first = settleSecrets(settingsWith({}));
  assert.equal(statSync(secretsFile(dir)).mode & 0o777, 0o600);
  assert.equal(new Set(secretNames.map((name) => first[name].reveal())).size, secretNames.length);

  const again = settleSecrets(settingsWith({}));
  assert.deepEqual(secretNames.map((name) => again[name].reveal()), secretNames.map((name) => first[name].reveal()));

  for (const given of ['plain', 'with#hash', `both'"quotes`, 'a\\nb', '$HOME=`x`']) {
    settleSecrets(settingsWith({ POSTGRES_PASSWORD: given }));
    assert.equal(readEnvFile(secretsFile(dir))['POSTGRES_PASSWORD'], given);
    assert.equal(settingsWith({}).POSTGRES_PASSWORD?.reveal(), given);
  }
  assert.deepEqual(readdirSync(dir), ['secrets.env']);
});

test('a shell that reads the file, as the README does, reads the same passwords', () => {
  for (const given of ['plain', 'with#hash', "one's", '$HOME=`x`']) {
    settleSecrets(settingsWith({ POSTGRES_PASSWORD: given }));
    assert.equal(spawnSync('sh', ['-c', `. "$0"; printf %s "$POSTGRES_PASSWORD"`, secretsFile(dir)], { encoding: 'utf8' }).stdout, given);
  }
});

test('a password of a server that is there already is never made up', () => {
  const fresh = mkdtempSync(join(dir, 'given-'));
  const settings = settingsWith({ SLUICE_DATA_DIR: fresh, REDIS_HOST: 'cache', SLUICE_REDIS_PASSWORD: 'b' });
  assert.throws(() => settleSecrets(settings), (error: Error) => error instanceof ConfigError && /REDIS_PASSWORD: needed with REDIS_HOST/.test(error.message) && !/SLUICE|POSTGRES/.test(error.message));
  assert.deepEqual(readdirSync(fresh), []);
  rmSync(fresh, { recursive: true });
});

test('a password that cannot be written to a dotenv file is refused by name', () => {
  assert.throws(() => settleSecrets(settingsWith({ REDIS_PASSWORD: `#'"\`` })), /REDIS_PASSWORD/);
});

test('the recorded PostgreSQL admin is recognised, another user or password is not', () => {
  const record = `postgres ${scramVerifier(new Secret('right'), Buffer.from('0123456789abcdef'))}`;
  assert.ok(isRecorded('postgres', new Secret('right'), record));
  assert.ok(!isRecorded('postgres', new Secret('wrong'), record));
  assert.ok(!isRecorded('boss', new Secret('right'), record));
  assert.ok(!isRecorded('postgres', new Secret('right'), ''));
});

test('the Redis access list holds hashes, prefixed keys, and nothing that concerns the whole server', () => {
  const settings = settleSecrets(settingsWith({ REDIS_KEY_PREFIX: '{shop}:', REDIS_PASSWORD: 'admin-pw', SLUICE_REDIS_PASSWORD: 'consumer-pw' }));
  const [admin, consumer] = accessList(settings).split('\n');
  assert.ok(admin?.includes(`#${createHash('sha256').update('admin-pw').digest('hex')}`));
  assert.ok(consumer?.includes(' ~{shop}:metrics:* ') && !consumer.includes('~*'));
  assert.deepEqual(consumer?.match(/\+(@\w+|flush\w+|config\S*|keys|acl\S*|debug|shutdown)/gi), null);
  assert.ok(!accessList(settings).includes('-pw'));
});

test('the state file comes back as written, a torn one as none; a pid with another start time is not alive', () => {
  const path = join(dir, 'stack.json');
  const self = identityOf(process.pid);
  assert.ok(self);
  const record = {
    supervisor: self,
    proven: true,
    processes: [{ name: 'redis' as const, ...self, ports: [1], state: 'running' as const, restarts: 2 }],
  };
  writeStackRecord(path, record);
  assert.deepEqual(readStackRecord(path), record);
  assert.ok(isAlive(self));
  assert.ok(!isAlive({ ...self, startTime: '1' }));
  assert.ok(!isAlive({ pid: null, startTime: null }));
  for (const torn of ['', '{"supervisor"', '{}', '[]']) {
    writeFileSync(path, torn);
    assert.equal(readStackRecord(path), null, torn);
  }
  assert.equal(readStackRecord(join(dir, 'none.json')), null);
  assert.equal(readStackRecord(dir), null, 'a folder cannot be read');
});

test('revenue is shown exactly, beyond 2^53 too', () => {
  assert.deepEqual([0n, 5n, -5n, 123_456n, 100n, 12_345_678_901_234_567_890n].map(formatCents), ['0.00', '0.05', '-0.05', '1,234.56', '1.00', '123,456,789,012,345,678.90']);
});
