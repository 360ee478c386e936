/**
 * Goal: what a receiver gets is what docs/alerts.md says, signed, and nothing secret comes back in an error, whatever it answers.
 * Method: the adapters against a real HTTP server.
 */
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { inspect } from 'node:util';
import { createSlack, createWebhook, type SendNotice } from '../../src/adapters/webhook.ts';
import type { Notice } from '../../src/domain/alert-notice.ts';
import { PipelineError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import { findFreePort } from '../../src/stack/ports.ts';
import { startReceiver, type Answer } from '../alert-receiver.ts';

type Receiver = Awaited<ReturnType<typeof startReceiver>>;
let receiver: Receiver;
let elsewhere: Receiver;
let webhook: SendNotice;
/** For an answer that does not come. */
let impatient: SendNotice;
let slack: SendNotice;

before(async () => {
  [receiver, elsewhere] = await Promise.all([startReceiver(), startReceiver()]);
  const url = (path: string): Secret => new Secret(receiver.origin + path);
  const hook = { url: url('/hook?token=s3cret'), secret: new Secret('key') };
  webhook = createWebhook({ ...hook, timeoutMs: 10_000 });
  impatient = createWebhook({ ...hook, timeoutMs: 500 });
  slack = createSlack({ url: url('/services/s3cret'), timeoutMs: 10_000 });
});
beforeEach(() => {
  receiver.reset();
  elsewhere.reset();
});
after(() => Promise.all([receiver.stop(), elsewhere.stop()]));

const notice: Notice = {
  id: 'alert/geographic_anomaly/Zürich <1>/5/opened',
  kind: 'opened',
  at: '2026-11-01T00:00:00.000Z',
  text: 'LOW geographic_anomaly of Zürich <1>: 90 %, threshold 80 % (1 min)',
  alert: { type: 'geographic_anomaly', entity: 'Zürich <1>', episode: 5, severity: 'LOW', status: 'open', level: 1, value: '90 %', threshold: '80 %', window: '1 min', occurrences: 1, openedAt: '2026-11-01T00:00:00.000Z' },
};
const failureOf = async (send: SendNotice): Promise<PipelineError> => {
  const error: unknown = await send(notice).then(() => assert.fail('it was taken'), (failure: unknown) => failure);
  assert.ok(error instanceof PipelineError, inspect(error));
  assert.doesNotMatch(inspect(error, { depth: null }) + String(error.stack), /s3cret|nobody should keep/);
  return error;
};

test('a webhook gets one request: a CloudEvent, its signature over the very bytes, and the id of the notice', async () => {
  await webhook(notice);
  const [{ path, headers, body }, ...others] = receiver.received as [Receiver['received'][number]];
  assert.deepEqual([path, others.length, headers['content-type']], ['/hook?token=s3cret', 0, 'application/cloudevents+json; charset=utf-8']);
  const [, given = ''] = /^sha256=([0-9a-f]{64})$/.exec(String(headers['x-sluice-signature'])) ?? [];
  assert.ok(timingSafeEqual(Buffer.from(given, 'hex'), createHmac('sha256', 'key').update(body).digest()));
  const event = JSON.parse(body) as { id: string; specversion: string };
  assert.deepEqual([event.specversion, event.id, decodeURI(String(headers['idempotency-key']))], ['1.0', notice.id, notice.id]);
  await webhook(notice);
  assert.deepEqual(receiver.received[1]?.body, body);
  assert.equal(receiver.received[1]?.headers['idempotency-key'], headers['idempotency-key']);
});

test('Slack gets one text', async () => {
  await slack(notice);
  assert.equal(receiver.received.length, 1);
  assert.deepEqual(JSON.parse(receiver.received[0]!.body), { text: 'LOW geographic_anomaly of Zürich &lt;1&gt;: 90 %, threshold 80 % (1 min)\nalert/geographic_anomaly/Zürich &lt;1&gt;/5' });
});

test('what the other side answers decides whether another try is worth while', async () => {
  const tried: [Answer, code: string][] = [
    [400, 'channel_refused'],
    [404, 'channel_refused'],
    [410, 'channel_refused'],
    [408, 'channel_unavailable'],
    [429, 'channel_unavailable'],
    [500, 'channel_unavailable'],
    [503, 'channel_unavailable'],
    [302, 'channel_refused'],
    [(response) => response.destroy(), 'channel_unavailable'],
    [null, 'channel_unavailable'],
  ];
  for (const [answer, code] of tried) {
    receiver.answers.push(answer);
    assert.equal((await failureOf(answer === null ? impatient : webhook)).code, code, String(answer));
  }
  assert.equal(receiver.received.length, tried.length, 'one attempt each');
  receiver.answers.push((response) => response.writeHead(429, { 'retry-after': '30' }).end());
  assert.equal((await failureOf(slack)).details['retryAfterSeconds'], 30);
});

test('an answer that never ends holds up nobody', async () => {
  receiver.answers.push((response) => void response.writeHead(200).write('x'));
  await webhook(notice);
});

test('nobody at the address is said without the address', async () => {
  const gone = createSlack({ url: new Secret(`http://127.0.0.1:${await findFreePort()}/s3cret`), timeoutMs: 10_000 });
  assert.match((await failureOf(gone)).message, /slack could not be reached \(ECONNREFUSED\)/);
});

test('a redirect is followed on the same host, never to another one', async () => {
  const to = (location: string): Answer => (response) => response.writeHead(307, { location }).end();
  receiver.answers.push(to('/moved'));
  await webhook(notice);
  assert.deepEqual(receiver.received.map(({ path }) => path), ['/hook?token=s3cret', '/moved']);
  assert.equal(receiver.received[0]!.body, receiver.received[1]!.body);
  receiver.answers.push(to(`${elsewhere.origin}/hook`));
  assert.equal((await failureOf(webhook)).code, 'channel_refused');
  assert.equal(elsewhere.received.length, 0);
  receiver.answers.push(...Array.from({ length: 5 }, () => to('/again')));
  assert.equal((await failureOf(webhook)).code, 'channel_refused');
});
