/** Goal: whatever is in the topic is taken up or named as what it is; nothing that was seen counts again. Method: pure functions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertWorkflowId, parseAlertRef, rememberOrigin, type OriginMemory } from '../../src/domain/alert.ts';
import { parseAlert } from '../../src/domain/alert-message.ts';
import { cloudEvent, noticeText, slackMessage, type AlertFacts, type Notice } from '../../src/domain/alert-notice.ts';
import { anAlert } from '../alert-fakes.ts';

const record = (value: unknown, key: string | null = anAlert().alertId) => ({
  offset: 7n,
  timestampMs: '0',
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
});
const parse = (value: unknown, key?: string | null) => parseAlert(record(value, key));

test('an occurrence is read whole; exact numbers become text, members that nobody knows are left out', () => {
  const event = parse({ ...anAlert(), value: 14, threshold: '10.50', resolved: false, more: 'x' });
  assert.deepEqual(event, { kind: 'occurrence', ref: { type: 'bulk_orders', entity: '42', episode: 1_764_000_000_000 }, message: { ...anAlert(), value: '14', threshold: '10.50' } });
});

test('the word that an alert is over needs its id and type only', () => {
  assert.deepEqual(parse({ alertId: anAlert().alertId, type: 'low_stock', resolved: true }), { kind: 'over', ref: { type: 'low_stock', entity: '42', episode: 1_764_000_000_000 } });
});

test('what cannot be taken up is rejected with a reason that names a member and no value', () => {
  const bad: [value: unknown, reason: string, detail: RegExp, key?: string | null][] = [
    [null, 'malformed_alert', /no value/],
    ['{"alertId"', 'malformed_json', /not JSON/],
    ['[]', 'malformed_alert', /expected object/],
    [`"${'x'.repeat(70_000)}"`, 'malformed_alert', /larger than/],
    [{ ...anAlert(), type: 'secret-type' }, 'malformed_alert', /^type: /],
    [{ ...anAlert(), severity: 'high' }, 'malformed_alert', /^severity: /],
    [{ ...anAlert(), value: 2 ** 60 }, 'malformed_alert', /^value: /],
    [{ ...anAlert(), at: '2026' }, 'malformed_alert', /^at: /],
    [{ ...anAlert(), at: 1e18 }, 'malformed_alert', /^at: /],
    [{ ...anAlert(), origin: 'orders:5' }, 'malformed_alert', /^origin: /],
    [{ ...anAlert(), entity: 'secret-43' }, 'malformed_alert', /alertId: not of this entity/],
    [{ ...anAlert({ entity: 'a\u0000b' }), resolved: false }, 'malformed_alert', /control/, 'a\u0000b/1764000000000'],
    [{ alertId: 'secret', type: 'low_stock', resolved: true }, 'malformed_alert', /alertId: not <entity>/, 'secret'],
    [anAlert(), 'malformed_key', /not the alert id/, 'other'],
    [anAlert(), 'malformed_key', /not the alert id/, null],
  ];
  for (const [value, reason, detail, key] of bad) {
    const event = parse(value, key);
    assert.ok(event.kind === 'rejected', JSON.stringify(value));
    assert.deepEqual([event.reason, event.offset], [reason, 7n]);
    assert.match(event.detail, detail);
    assert.doesNotMatch(event.detail, /secret/);
  }
});

test('ids and references lead to each other, also where an entity has slashes or spaces', () => {
  for (const entity of ['42', 'New York', 'a/b', '(none)', 'Zürich']) {
    const ref = { type: 'geographic_anomaly', entity, episode: 5 } as const;
    assert.deepEqual(parseAlertRef(alertWorkflowId(ref)), ref);
    assert.deepEqual(parseAlertRef(`geographic_anomaly/${entity}/5`), ref);
  }
  for (const text of ['', 'x', 'bulk_orders/5', 'no_type/42/5', 'bulk_orders/42/later']) assert.equal(parseAlertRef(text), null, text);
});

test('an origin counts once; a topic that was made anew begins again at 0 and still counts; memory is one entry a partition', () => {
  const memory: OriginMemory = {};
  const see = (origin: string, at: number) => rememberOrigin(memory, origin, at);
  assert.deepEqual([see('orders-0:5', 10), see('orders-0:5', 10), see('orders-0:4', 9), see('orders-1:4', 9), see('orders-0:6', 8)], [true, false, false, true, true]);
  assert.deepEqual([see('orders-0:6', 8), see('orders-0:5', 10)], [false, false], 'redelivered from further back');
  assert.deepEqual([see('orders-0:0', 20), see('orders-0:0', 20)], [true, false]);
  assert.deepEqual([see('orders-0:9007199254740993', 21), see('orders-0:9007199254740992', 21)], [true, false]);
  assert.equal(see('nonsense', 30), false);
  for (let n = 0; n < 5000; n += 1) see(`other-${n}:1`, n);
  assert.ok(Object.keys(memory).length <= 1024);
});

const facts: AlertFacts = { type: 'bulk_orders', entity: '<42>', episode: 5, severity: 'HIGH', status: 'notified', level: 2, value: '14', threshold: '10', window: '60 s', occurrences: 3, openedAt: '2026-11-01T00:00:00.000Z' };
const notice = (kind: Notice['kind'], at = '2026-11-01T00:05:00.000Z'): Notice => ({ id: `alert/bulk_orders/<42>/5/${kind}`, kind, at, text: noticeText(kind, facts, at, 'why'), alert: facts });

test('what is said changes with kind, age and level', () => {
  assert.equal(notice('escalated').text, 'HIGH bulk_orders of <42>, level 2: nobody has acknowledged it for 5 min. 14, threshold 10 (60 s), seen 3 times');
  assert.match(notice('escalated', '2026-11-01T02:30:00.000Z').text, /for 2 h\./);
  const texts = (['opened', 'escalated', 'reminded', 'resolved', 'storm', 'channel-failed'] as const).map((kind) => notice(kind).text);
  assert.equal(new Set(texts).size, 6);
});

test('a webhook is sent CloudEvents 1.0, Slack a text in which nothing is markup', () => {
  const event = JSON.parse(cloudEvent(notice('opened'))) as Record<string, unknown>;
  assert.deepEqual({ ...event, data: 0 }, { specversion: '1.0', id: 'alert/bulk_orders/<42>/5/opened', source: 'sluice/alerts', type: 'dev.sluice.alert.opened', subject: 'bulk_orders/<42>/5', time: '2026-11-01T00:05:00.000Z', datacontenttype: 'application/json', data: 0 });
  assert.deepEqual(event['data'], { ...facts, alertId: '<42>/5', workflowId: 'alert/bulk_orders/<42>/5', text: notice('opened').text });
  assert.equal(cloudEvent(notice('opened')), cloudEvent(notice('opened')));
  assert.doesNotMatch(slackMessage(notice('opened')), /[<>]/);
});
