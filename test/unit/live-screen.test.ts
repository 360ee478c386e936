/** Goal: the live screen fits every terminal, says what matters at 80×24, and is not broken by what it is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveLines } from '../../src/cli/live-lines.ts';
import { screen, type ScreenState, type Size } from '../../src/cli/screen/draw.ts';
import { createEventRate } from '../../src/cli/screen/event-rate.ts';
import { plainText, styled } from '../../src/cli/screen/line.ts';
import { createProgress } from '../../src/stack/progress.ts';
import { consumerNames, type ProcessName } from '../../src/stack/state-file.ts';

const nowMs = Date.UTC(2026, 10, 26, 14, 5, 6);
const names: ProcessName[] = ['postgres', 'kafka', 'connect', 'redis', 'temporal', 'cdc-consumer', 'stream-consumer', 'alerts-consumer', 'worker', 'generator'];

const aState = (changed: Partial<ScreenState> = {}): ScreenState => ({
  nowMs,
  sinceMs: nowMs - 125_000,
  problems: [],
  processes: names.map((name) => ({ name, state: 'running', restarts: 0 })),
  lag: { events: 12, ms: 34 },
  figures: {
    events: { c: 8880n, u: 11765n, d: 442n, r: 37n, t: 0n },
    rows: 8475n,
    revenueCents: 302_303_909n,
    alerts: { open: 2, newest: [{ id: 'bulk_orders/42/1795701906000', openedMs: nowMs - 61_000 }, { id: 'rapid_stock_depletion/21/1795701900000', openedMs: nowMs - 3_600_000 }] },
    batch: { runId: 'r', endedMs: nowMs - 24_000, seconds: 3.14, verdict: 'pass', segments: { Bronze: 90, Gold: 3, Silver: 12 } },
    readMs: nowMs,
  },
  eventsPerSecond: 43.4,
  urls: { temporalWeb: 'http://127.0.0.1:18233', connect: 'http://127.0.0.1:18083', postgres: 'postgresql://postgres@127.0.0.1:15432/source_db', redis: 'redis://127.0.0.1:16379', kafka: '127.0.0.1:19092', temporal: '127.0.0.1:17233' },
  log: ['[ 12.9 s] The stack is up.', '[ 99.0 s] redis ended (SIGKILL): restarting in 0.5 s', '[ 99.9 s] redis is back (restart 1)'],
  mode: 'figures',
  ...changed,
});

/** What a person sees; that it fits is checked for every screen of this file. */
function drawn(state: ScreenState, size: Size = { columns: 80, rows: 24 }): string[] {
  const lines = screen(state, size).map(plainText);
  assert.equal(lines.length, size.rows);
  assert.deepEqual(lines.filter((line) => line.length > size.columns), []);
  assert.deepEqual(lines.filter((line) => !/^[\x20-\x7E…·–→█░×]*$/u.test(line)), []);
  return lines;
}

const extreme = aState({
  problems: [`orders halted: ${'a very long reason '.repeat(60)}`, 'connector FAILED\u001B[31m\nof\tlines', '世界'],
  processes: [...names.filter((name) => name !== 'cdc-consumer'), ...consumerNames(16)].map((name) => ({ name, state: name === 'cdc-consumer-9' ? 'restarting' : 'running', restarts: 99_999 })),
  lag: { events: Number.MAX_SAFE_INTEGER, ms: Number.MAX_SAFE_INTEGER },
  figures: {
    events: { c: 10n ** 30n, u: 10n ** 30n, d: 10n ** 30n, r: 10n ** 30n, t: 10n ** 30n },
    rows: 10n ** 30n,
    revenueCents: -(10n ** 40n),
    alerts: { open: 300, newest: Array.from({ length: 40 }, (_, i) => ({ id: `bulk_orders/${i}/${'9'.repeat(100)}`, openedMs: 0 })) },
    batch: { runId: 'r', endedMs: 0, seconds: 1e9, verdict: 'warn', segments: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`Segment ${i}`, 1e15])) },
    readMs: 0,
  },
  eventsPerSecond: 1e15,
  log: Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(1000)}`),
});

test('at 80×24 everything that matters is there', () => {
  const lines = drawn(aState());
  const text = lines.join('\n');
  for (const part of ['healthy', 'up 2 min', '14:05:06 UTC', '12 events, 34 ms', '43/s, 21,124 in all', 'c 8,880 u 11,765 d 442 r 37', '8,475', '3,023,039.09', '24 s ago (3.1 s), quality pass', 'Gold 3 · Silver 12 · Bronze 90', '2 open', '1 min  bulk_orders/42/1795701906000', '1 h    rapid_stock_depletion/21/1795701900000', 'redis is back (restart 1)', 'redis ended (SIGKILL)'])
    assert.ok(text.includes(part), `${part} in\n${text}`);
  for (const name of names) assert.match(text, new RegExp(`^ ${name} +running`, 'm'));
  for (const url of Object.values(aState().urls)) assert.ok(text.includes(url), url);
  assert.equal(lines.at(-1), ' h help  p pause generator  b burst  a anomaly  q quit');
});

test('whatever the size and the values, it fits; what matters most is kept longest', () => {
  for (const columns of [1, 20, 59, 60, 75, 76, 80, 200]) {
    for (const rows of [1, 2, 5, 12, 20, 24, 60]) for (const state of [aState(), extreme, aState({ mode: 'help' }), aState({ mode: 'anomaly' })]) drawn(state, { columns, rows });
  }
  const small = drawn(aState({ problems: ['redis restarting'] }), { columns: 60, rows: 20 }).join('\n');
  for (const part of ['NOT HEALTHY', 'redis restarting', 'generator', '12 events, 34 ms', '3,023,039.09', '2 open', 'redis is back', 'q quit']) assert.ok(small.includes(part), `${part} in\n${small}`);
});

test('a large terminal shows more alerts and more of what was said', () => {
  const ids = (lines: string[]): number => lines.filter((line) => line.includes('bulk_orders/')).length;
  assert.ok(ids(drawn(extreme, { columns: 200, rows: 60 })) > ids(drawn(extreme)));
});

test('servers that are not the stack’s own take no line, and no line of the figures either', () => {
  const text = drawn(aState({ processes: [{ name: 'cdc-consumer', state: 'running', restarts: 0 }] })).join('\n');
  for (const part of ['12 events, 34 ms', '3,023,039.09', 'Gold 3', 'bulk_orders/42', 'redis is back']) assert.ok(text.includes(part), `${part} in\n${text}`);
});

test('sixteen consumers share one line that tells of the one that does not run', () => {
  assert.match(drawn(extreme).join('\n'), /^ cdc-consumer ×16 1 restarting/m);
});

test('what is not known yet is said to be so, and old figures are told by their age', () => {
  const text = drawn(aState({ problems: null, lag: null, figures: null, eventsPerSecond: null })).join('\n');
  assert.match(text, /looking …/);
  assert.equal(text.match(/not known/g)?.length, 5);
  assert.match(drawn(aState({ nowMs: nowMs + 9000 })).join('\n'), /figures are 9 s old/);
});

test('the keys follow what can be done', () => {
  const last = (changed: Partial<ScreenState>): string => drawn(aState(changed)).at(-1)!;
  assert.match(last({ processes: [{ name: 'generator', state: 'paused', restarts: 0 }] }), /p resume generator/);
  assert.doesNotMatch(last({ processes: [] }), /generator/);
  assert.match(last({ mode: 'anomaly' }), /1 bulk  2 high-value  3 depletion  4 low-stock  5 geo/);
  assert.match(drawn(aState({ mode: 'help' })).join('\n'), /quit: stops every server/);
});

test('an escape sequence comes from a style and from nothing else', () => {
  const text = screen(extreme, { columns: 80, rows: 24 }).map(styled).join('\n');
  assert.ok(text.includes('\u001B[31mNOT HEALTHY\u001B[0m'));
  const styles = ['0', '1', '2', '31', '32', '33'].map((code) => `\u001B[${code}m`);
  assert.ok(!styles.reduce((rest, style) => rest.replaceAll(style, ''), text).includes('\u001B'));
});

test('the rate is over the last seconds, and begins anew when the counter falls', () => {
  const rate = createEventRate();
  assert.equal(rate(100n, 0), null);
  assert.equal(rate(150n, 1000), 50);
  assert.equal(rate(150n, 5000), 10);
  assert.equal(rate(150n, 9000), 0);
  assert.equal(rate(10n, 10_000), null);
});

/** A terminal that knows line feeds, and how to go up some lines and clear what is below. */
function aTerminal() {
  const seen: string[] = [];
  return {
    columns: 60,
    rows: 24,
    seen,
    write: (text: string): boolean => {
      const [before, after] = text.split('A\u001B[J');
      const up = after === undefined ? 0 : Number(before?.slice('\r\u001B['.length));
      seen.splice(seen.length - up);
      return seen.push(...(after ?? text).split('\n').slice(0, -1)) > 0;
    },
  };
}

test('a start shows on a terminal what is being done and what is to come, and leaves what was done', async () => {
  const terminal = aTerminal();
  const lines = createLiveLines(terminal);
  const progress = createProgress(lines.print, { show: lines.show, elapsedMs: () => 1000 });
  let finish = (): void => undefined;
  const first = progress.step('First', () => new Promise<void>((resolve) => (finish = resolve)));
  const second = progress.step('Second', async () => 'new', { after: [first], detail: (found) => found });
  const third = progress.step('x'.repeat(90), async () => Promise.reject(new Error('no')), { after: [second] });
  await new Promise((resolve) => setImmediate(resolve));
  lines.print('said meanwhile');
  assert.deepEqual(terminal.seen, ['said meanwhile', '          … First (0.0 s)', '[  1.0 s] 0 of 3 steps, then Second,', `${'x'.repeat(58)}…`]);
  finish();
  await assert.rejects(third, /no/);
  assert.deepEqual(terminal.seen, ['said meanwhile', '[  1.0 s] First (0.0 s)', '[  1.0 s] Second: new (0.0 s)']);
});
