/** Goal: who is told follows from one file that is right as a whole or refused with every fault's place. Method: files as text. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError, loadSettings } from '../../src/config.ts';
import { channelsFor, parseRoutes, routesToAll, type AlertRoutes } from '../../src/domain/alert-routes.ts';
import { alertDeps } from '../../src/main/alert-deps.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-routes-'));
after(() => rmSync(root, { recursive: true, force: true }));

const both = ['webhook', 'slack'] as const;
const routesOf = (json: unknown): AlertRoutes => {
  const parsed = parseRoutes(JSON.stringify(json), both);
  assert.ok('routes' in parsed);
  return parsed.routes;
};
const problemsOf = (text: string, configured: readonly ('webhook' | 'slack')[] = both): string[] => {
  const parsed = parseRoutes(text, configured);
  return 'problems' in parsed ? parsed.problems : [];
};
const high = { type: 'bulk_orders', severity: 'HIGH', level: 1 } as const;

test('the first route that matches decides, then the default, then every configured channel', () => {
  const routes = routesOf({
    routes: [
      { types: ['geographic_anomaly'], channels: [] },
      { severities: ['HIGH'], levels: [2, 3], channels: ['webhook', 'slack'] },
      { severities: ['HIGH'], channels: ['webhook'] },
    ],
    default: ['slack'],
  });
  assert.deepEqual(channelsFor(routes, both, high), ['webhook']);
  assert.deepEqual(channelsFor(routes, both, { ...high, level: 2 }), ['webhook', 'slack']);
  assert.deepEqual(channelsFor(routes, both, { ...high, severity: 'LOW' }), ['slack']);
  assert.deepEqual(channelsFor(routes, both, { ...high, type: 'geographic_anomaly' }), []);
  assert.deepEqual(channelsFor(routesToAll, ['slack'], high), ['slack']);
  assert.deepEqual(channelsFor(routesToAll, [], high), []);
});

test('every fault is told with its path and what stands there', () => {
  assert.match(problemsOf('{"routes": [}')[0]!, /^not JSON: /);
  const problems = problemsOf(JSON.stringify({ routes: [{ types: ['bulk_order'], channels: ['pager'] }, { severities: ['high'], levels: [4], channels: ['slack'], extra: 1 }], defaults: [] }));
  const wanted = [/^routes\[0\]\.types\[0\]: "bulk_order": .*bulk_orders/, /^routes\[0\]\.channels\[0\]: "pager": .*webhook/, /^routes\[1\]\.severities\[0\]: "high": /, /^routes\[1\]\.levels\[0\]: 4: /, /^routes\[1\]: .*extra/, /^the file: .*defaults/];
  for (const one of wanted) assert.ok(problems.some((problem) => one.test(problem)), `${String(one)} in ${problems.join(' | ')}`);
  assert.deepEqual(problemsOf('{"routes":[{"channels":["slack"]}],"default":["slack"]}', ['webhook']), ['routes[0].channels[0]: slack is not configured: set ALERT_SLACK_URL', 'default[0]: slack is not configured: set ALERT_SLACK_URL']);
});

test('a worker refuses settings of alerts that contradict each other, and names the file', () => {
  const file = join(root, 'routes.json');
  writeFileSync(file, '{"routes":[{"types":["nothing"],"channels":[]}]}');
  const url = 'https://example.org/hook/token';
  const refused: [Record<string, string>, RegExp][] = [
    [{ ALERT_ROUTES_FILE: file }, /ALERT_ROUTES_FILE .*routes\.json:\n {2}routes\[0\]\.types\[0\]: "nothing"/],
    [{ ALERT_ROUTES_FILE: join(root, 'nowhere') }, /which cannot be read/],
    [{ ALERT_WEBHOOK_URL: url }, /ALERT_WEBHOOK_URL: needs ALERT_WEBHOOK_SECRET too/],
    [{ ALERT_ESCALATE_L3_SECONDS: '300' }, /ALERT_ESCALATE_L2_SECONDS: 300 must be less than ALERT_ESCALATE_L3_SECONDS \(300\)/],
    [{ ALERT_DELIVERY_SECONDS: '10' }, /ALERT_TIMEOUT_MS: 10000 must be less than ALERT_DELIVERY_SECONDS \(10\)/],
    [{ ALERT_GAP_SECONDS: '1800' }, /must be less than ALERT_QUIET_SECONDS/],
    [{ ALERT_SLACK_URL: 'ftp://example.org/token' }, /ALERT_SLACK_URL: an address such as/],
    [{ ALERT_SLACK_URL: 'https://user:token@example.org' }, /without user and password/],
  ];
  for (const [env, why] of refused) assert.throws(() => alertDeps(loadSettings(env, root)), (error: unknown) => error instanceof ConfigError && why.test(error.message) && !/token/.test(error.message), JSON.stringify(env));
  const { senders, escalateSeconds, quietSeconds } = alertDeps(loadSettings({ ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: 'key' }, root));
  assert.deepEqual([Object.keys(senders), escalateSeconds.map(({ afterSeconds }) => afterSeconds), quietSeconds], [['webhook'], [300, 900], 1800]);
});
