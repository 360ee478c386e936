import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { format, inspect, parseEnv } from 'node:util';
import { access, urlsOf } from '../../src/access.ts';
import { ConfigError, givenSecretNames, inheritedEnvironment, loadSettings, loadStartSettings, requireSecret, secretNames, settings, settingsEnvironment } from '../../src/config.ts';
import { settleSecrets } from '../../src/stack/secrets.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-config-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A working folder with these files in it. */
function folderWith(files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(root, 'cwd-'));
  mkdirSync(join(folder, '.sluice'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Lines of the ConfigError that loading throws. */
function problemsOf(env: Record<string, string>): string[] {
  try {
    loadSettings(env, folderWith());
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message.split('\n').filter((line) => /^ {2}/.test(line)).map((line) => line.trim());
  }
  return [];
}

test('with nothing given every setting has its default and paths are absolute', () => {
  const cwd = folderWith();
  const loaded = loadSettings({}, cwd);
  assert.equal(loaded.POSTGRES_PORT, 15432);
  assert.equal(loaded.REDIS_KEY_PREFIX, '');
  assert.equal(loaded.SLUICE_DATA_DIR, join(cwd, '.sluice'));
  assert.equal(loaded.SLUICE_TOOLS_DIR, join(cwd, '.sluice-tools'));
  assert.equal(loaded.POSTGRES_PASSWORD, undefined);
});

test('at a start the environment goes before .env, .env before the recorded secrets', () => {
  const cwd = folderWith({
    '.env': 'REDIS_PORT=1002\nKAFKA_PORT=1003\nREDIS_PASSWORD=from-dotenv\n',
    '.sluice/secrets.env': 'REDIS_PASSWORD=generated\nPOSTGRES_PASSWORD=generated\n',
  });
  const loaded = loadStartSettings({ REDIS_PORT: '1001' }, cwd);
  assert.deepEqual([loaded.REDIS_PORT, loaded.KAFKA_PORT, loaded.CONNECT_PORT], [1001, 1003, 18083]);
  assert.equal(loaded.REDIS_PASSWORD?.reveal(), 'from-dotenv');
  assert.equal(loaded.POSTGRES_PASSWORD?.reveal(), 'generated');
  assert.equal(loadStartSettings({ REDIS_PASSWORD: 'from-env' }, cwd).REDIS_PASSWORD?.reveal(), 'from-env');
});

test('a start with a password of its own is followed by every process without it, whatever .env says', () => {
  const cwd = folderWith({ '.env': 'REDIS_PORT=1002\nSLUICE_REDIS_PASSWORD=stale\n' });
  settleSecrets(loadStartSettings({ SLUICE_REDIS_PASSWORD: 'in-force' }, cwd));
  const other = loadSettings({}, cwd);
  assert.equal(other.SLUICE_REDIS_PASSWORD?.reveal(), 'in-force');
  assert.equal(other.REDIS_PORT, 1002);
  assert.equal(loadSettings({ SLUICE_REDIS_PASSWORD: 'given' }, cwd).SLUICE_REDIS_PASSWORD?.reveal(), 'given');
  settleSecrets(loadStartSettings({}, cwd));
  assert.equal(loadSettings({}, cwd).SLUICE_REDIS_PASSWORD?.reveal(), 'stale', 'the next start applies .env');
});

test('what is not recorded yet comes from .env', () => {
  assert.equal(loadSettings({}, folderWith({ '.env': 'REDIS_PASSWORD=from-dotenv\n' })).REDIS_PASSWORD?.reveal(), 'from-dotenv');
});

test('the generated secrets are found in the data folder that was chosen, by .env too', () => {
  const cwd = folderWith({ '.env': 'SLUICE_DATA_DIR=elsewhere\n' });
  mkdirSync(join(cwd, 'elsewhere'));
  writeFileSync(join(cwd, 'elsewhere/secrets.env'), 'REDIS_PASSWORD=there\n');
  assert.equal(loadSettings({}, cwd).REDIS_PASSWORD?.reveal(), 'there');
  assert.equal(loadSettings({}, cwd).SLUICE_DATA_DIR, join(cwd, 'elsewhere'));
});

test('an empty value counts as not given', () => {
  const cwd = folderWith({ '.env': 'KAFKA_PORT=\nTOPIC_PREFIX=\nREDIS_PORT=1002\n', '.sluice/secrets.env': 'REDIS_PASSWORD=generated\n' });
  const loaded = loadSettings({ REDIS_PORT: '', REDIS_PASSWORD: '', SLUICE_DATA_DIR: '' }, cwd);
  assert.deepEqual([loaded.KAFKA_PORT, loaded.TOPIC_PREFIX, loaded.REDIS_PORT], [19092, 'ecommerce', 1002]);
  assert.equal(loaded.REDIS_PASSWORD?.reveal(), 'generated');
});

test('every bad value is one line that names its setting', () => {
  const bad = {
    POSTGRES_PORT: '70000',
    KAFKA_PORT: 'x',
    REDIS_PORT: '1.5',
    POSTGRES_DB: 'Robert"; DROP',
    REDIS_KEY_PREFIX: 'shop',
    TOPIC_PREFIX: 'a b',
    CDC_BATCH_ROWS_MAX: '2001',
    CDC_BATCH_BYTES_MAX: '-1',
    MOCK_DATA_INTERVAL_SECONDS: '0',
    SLUICE_GENERATOR: 'yes',
    SLUICE_LOG_LEVEL: 'loud',
    REDIS_PASSWORD: 'with space',
  };
  const problems = problemsOf(bad);
  assert.deepEqual(problems.map((line) => line.split(':')[0] ?? '').sort(), Object.keys(bad).sort());
  for (const line of problems) assert.ok(line.length > 30, line);
});

test('no number is without an upper bound', () => {
  const numbers = Object.entries(settings).flatMap(([name, schema]) => (name !== 'MOCK_DATA_SEED' && typeof schema.safeParse(undefined).data === 'number' ? [name] : []));
  assert.ok(numbers.length > 40, String(numbers.length));
  const refused = problemsOf(Object.fromEntries(numbers.map((name) => [name, String(Number.MAX_SAFE_INTEGER)])));
  assert.deepEqual(refused.map((line) => line.split(':')[0] ?? '').sort(), numbers.sort());
});

test('a bad secret is named and not shown', () => {
  const [line = ''] = problemsOf({ POSTGRES_PASSWORD: 'pass word' });
  assert.match(line, /^POSTGRES_PASSWORD: /);
  assert.ok(!line.includes('pass word'));
});

test('a secret may be given by a file', () => {
  const cwd = folderWith({ password: 'from-file\n', '.sluice/secrets.env': 'REDIS_PASSWORD=generated\n' });
  const REDIS_PASSWORD_FILE = join(cwd, 'password');
  assert.equal(loadSettings({ REDIS_PASSWORD_FILE }, cwd).REDIS_PASSWORD?.reveal(), 'from-file');
  assert.equal(loadSettings({ REDIS_PASSWORD_FILE: 'password' }, cwd).REDIS_PASSWORD?.reveal(), 'from-file', 'a relative path is of the project');
  assert.equal(loadSettings({ REDIS_PASSWORD_FILE, REDIS_PASSWORD: 'plain' }, cwd).REDIS_PASSWORD?.reveal(), 'plain');
  writeFileSync(join(cwd, '.env'), `REDIS_PASSWORD_FILE=${REDIS_PASSWORD_FILE}\n`);
  assert.equal(loadStartSettings({}, cwd).REDIS_PASSWORD?.reveal(), 'from-file');
});

test('a secret file in the environment goes before a secret in .env', () => {
  const cwd = folderWith({ password: 'from-file\n', '.env': 'REDIS_PASSWORD=from-dotenv\n' });
  assert.equal(loadSettings({ REDIS_PASSWORD_FILE: join(cwd, 'password') }, cwd).REDIS_PASSWORD?.reveal(), 'from-file');
});

test('a secret file that does not exist is said, with the setting that names it', () => {
  assert.throws(() => loadSettings({ REDIS_PASSWORD_FILE: join(root, 'nowhere') }, folderWith()), (error: Error) => error instanceof ConfigError && error.message.includes('REDIS_PASSWORD_FILE'));
});

test('secrets never print, whichever way the settings are shown', () => {
  const given = Object.fromEntries(secretNames.map((name, i) => [name, `plain-text-${i}`]));
  const loaded = loadSettings(given, folderWith());
  const texts = [inspect(loaded, { depth: null, showHidden: true }), JSON.stringify(loaded), format('%s %o %O %j', loaded, loaded, loaded, loaded), ...secretNames.map((name) => String(loaded[name]))];
  for (const text of texts) assert.ok(!text.includes('plain-text'), text);
  assert.equal(loaded.REDIS_PASSWORD?.reveal(), given['REDIS_PASSWORD']);
});

test('secretNames lists exactly the secret settings', () => {
  const secrets = Object.keys(settings).filter((name) => name.endsWith('_PASSWORD'));
  assert.deepEqual([...secretNames, ...givenSecretNames].filter((name) => name.endsWith('_PASSWORD')).sort(), secrets.sort());
});

test('what a child process is given holds no secret and loads to the same settings', () => {
  const cwd = folderWith();
  const loaded = loadSettings({ REDIS_PASSWORD: 'plain-text', REDIS_PORT: '1001', SLUICE_FAILPOINT_DIR: '/tmp/f' }, cwd);
  const passed = settingsEnvironment(loaded);
  assert.ok(!JSON.stringify(passed).includes('plain-text') && !('REDIS_PASSWORD' in passed));
  const { REDIS_PASSWORD: _, ...others } = loaded;
  assert.deepEqual(loadSettings(passed, folderWith()), others);
});

test('what a child process inherits of our environment holds no secret', (t) => {
  const hidden = [...secretNames, ...givenSecretNames].flatMap((name) => [name, `${name}_FILE`]);
  const before = { ...process.env };
  t.after(() => hidden.forEach((name) => (before[name] === undefined ? delete process.env[name] : (process.env[name] = before[name]))));
  for (const name of hidden) process.env[name] = 'plain-text';
  const inherited = inheritedEnvironment();
  assert.ok(!JSON.stringify(inherited).includes('plain-text'));
  assert.equal(inherited['PATH'], process.env['PATH']);
});

test('an address that only an operator knows reaches every process of this start, prints nowhere, and is gone at the next start without it', () => {
  const cwd = folderWith();
  settleSecrets(loadStartSettings({ ALERT_SLACK_URL: 'https://example.org/plain-text' }, cwd));
  const other = loadSettings({}, cwd);
  assert.equal(other.ALERT_SLACK_URL?.reveal(), 'https://example.org/plain-text');
  assert.ok(!JSON.stringify([other, settingsEnvironment(other)]).includes('plain-text'));
  settleSecrets(loadStartSettings({}, cwd));
  assert.equal(loadSettings({}, cwd).ALERT_SLACK_URL, undefined);
});

test('a missing secret says how to get it', () => {
  assert.throws(() => requireSecret(loadSettings({}, folderWith()), 'SLUICE_READER_PASSWORD'), /SLUICE_READER_PASSWORD is not set.*npm start/s);
});

test('every setting says what it means', () => {
  for (const [name, schema] of Object.entries(settings)) assert.ok((schema.description ?? '').length >= 10, name);
});

test('a server whose address is given has its usual port, and is reached there by everyone', () => {
  const cwd = folderWith({ '.env': 'POSTGRES_HOST=db\n' });
  const password = { SLUICE_READER_PASSWORD: 'a', SLUICE_REDIS_PASSWORD: 'b' };
  const given = loadSettings({ ...password, KAFKA_BROKER: 'k1,k2:9093', CONNECT_URL: 'http://connect:8083/', REDIS_HOST: 'cache', TEMPORAL_ADDRESS: 'temporal' }, cwd);
  assert.deepEqual(urlsOf(given), {
    ...{ connect: 'http://connect:8083', postgres: 'postgresql://postgres@db:5432/source_db', redis: 'redis://cache:6379' },
    ...{ kafka: 'k1:9092,k2:9093', temporal: 'temporal:7233' },
  });
  const { host, port } = access.batchReader(given);
  assert.deepEqual([host, port, access.replica(given).host, access.brokers(given)], ['db', 5432, 'cache', ['k1:9092', 'k2:9093']]);
  assert.equal(loadSettings({ POSTGRES_PORT: '5433' }, cwd).POSTGRES_PORT, 5433);
  assert.deepEqual(problemsOf({ POSTGRES_HOST: 'db:5432', KAFKA_BROKER: 'http://k', CONNECT_URL: 'connect:8083', REDIS_HOST: 'redis://r', TEMPORAL_ADDRESS: 'a,b' }).map((line) => line.split(':')[0]), [
    ...['POSTGRES_HOST', 'KAFKA_BROKER', 'CONNECT_URL', 'REDIS_HOST', 'TEMPORAL_ADDRESS'],
  ]);
});

test('a batch reads the source, or the replica that is named, with a connection for each reader', () => {
  const reader = (env: Record<string, string>) => access.batchReader(loadSettings({ SLUICE_READER_PASSWORD: 'secret', ...env }, folderWith()));
  const { host, port, user, max, statementTimeoutMs } = reader({ POSTGRES_PORT: '1001' });
  assert.deepEqual([host, port, user, max, statementTimeoutMs], ['127.0.0.1', 1001, 'sluice_reader', 3, 600_000]);
  const replica = reader({ BATCH_POSTGRES_HOST: 'replica', BATCH_POSTGRES_PORT: '1002', BATCH_EXTRACT_READERS: '5' });
  assert.deepEqual([replica.host, replica.port, replica.max], ['replica', 1002, 6]);
});

test('staged files have a folder in the data folder, or the one that is named', () => {
  const cwd = folderWith();
  assert.equal(access.stagingDir(loadSettings({}, cwd)), join(cwd, '.sluice/staging'));
  assert.equal(access.stagingDir(loadSettings({ BATCH_STAGING_DIR: 'shared' }, cwd)), join(cwd, 'shared'));
});

test('.env.example is what the schema prints, and sets nothing but defaults', () => {
  const example = readFileSync('.env.example', 'utf8');
  const printed = spawnSync(process.execPath, ['--import', 'tsx', 'scripts/print-env-example.ts'], { encoding: 'utf8' });
  assert.equal(example, printed.stdout, 'run: npx tsx scripts/print-env-example.ts > .env.example');
  assert.deepEqual(Object.keys(parseEnv(example)).sort(), Object.keys(settings).sort());
  const cwd = folderWith();
  const defaults = loadSettings({}, cwd);
  writeFileSync(join(cwd, '.env'), example);
  assert.deepEqual(loadSettings({}, cwd), defaults);
});

test('what means nothing without another setting is refused by its name, and what that needs is told', () => {
  const refusals: [Record<string, string>, string][] = [
    [{ POSTGRES_TLS: 'require' }, 'POSTGRES_TLS: needs POSTGRES_HOST too'],
    [{ POSTGRES_HOST: 'db', POSTGRES_TLS: 'require', POSTGRES_TLS_CA_FILE: 'ca.pem' }, 'POSTGRES_TLS_CA_FILE: needs POSTGRES_TLS=verify-full too'],
    [{ KAFKA_BROKER: 'k', KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u' }, 'KAFKA_SASL_MECHANISM: needs KAFKA_SASL_PASSWORD too'],
    [{ KAFKA_BROKER: 'k', KAFKA_SASL_PASSWORD: 'p' }, 'KAFKA_SASL_PASSWORD: needs KAFKA_SASL_MECHANISM too'],
    [{ REDIS_HOST: 'r', REDIS_CLUSTER: 'on' }, 'REDIS_CLUSTER: needs REDIS_KEY_PREFIX'],
    [{ TEMPORAL_ADDRESS: 't', TEMPORAL_API_KEY: 'k' }, 'TEMPORAL_API_KEY: needs TEMPORAL_TLS=on too'],
    [{ TEMPORAL_ADDRESS: 't', TEMPORAL_TLS: 'on', TEMPORAL_TLS_CERT_FILE: 'c.pem' }, 'TEMPORAL_TLS_CERT_FILE: needs TEMPORAL_TLS_KEY_FILE too'],
  ];
  for (const [env, told] of refusals) {
    const problems = problemsOf(env);
    assert.equal(problems.length, 1, told);
    assert.ok(problems[0]!.startsWith(told), problems[0]);
  }
  assert.deepEqual(problemsOf({ POSTGRES_HOST: 'db', POSTGRES_TLS: 'verify-full', KAFKA_BROKER: 'k', KAFKA_TLS: 'on', REDIS_HOST: 'r', REDIS_TLS: 'on', TEMPORAL_ADDRESS: 't', TEMPORAL_TLS: 'on', TEMPORAL_API_KEY: 'k' }), []);
});

test('a key that an earlier start recorded neither disturbs nor is sent when it is not wanted any more', () => {
  const cwd = folderWith({ '.sluice/secrets.env': 'KAFKA_SASL_PASSWORD=old\nTEMPORAL_API_KEY=old\n' });
  const loaded = loadSettings({}, cwd);
  assert.deepEqual(Object.keys(access.kafka(loaded)), ['brokers']);
  assert.deepEqual(Object.keys(access.temporal(loaded)), ['address', 'namespace']);
});
