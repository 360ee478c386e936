/**
 * The live screen as lines: a pure function of what is known and of the terminal's size.
 * Invariant: never more lines than the terminal has, never a line wider than it.
 */
import { ageText } from '../../domain/alert-notice.ts';
import { plannedAnomalies } from '../../generator/anomaly.ts';
import { formatCents, grouped, type Figures } from '../../stack/figures.ts';
import type { ProcessRecord, ProcessState } from '../../stack/state-file.ts';
import { cleaned, cut, padded, spread, wrapped, type Line, type Span, type Style } from './line.ts';

export interface ScreenState {
  nowMs: number;
  /** When the stack was up. */
  sinceMs: number;
  /** What is not as it should be; null while nobody has looked yet. */
  problems: string[] | null;
  processes: Pick<ProcessRecord, 'name' | 'state' | 'restarts'>[];
  lag: { events: number; ms: number } | null;
  /** The last ones that could be read, and when that was. */
  figures: (Figures & { readMs: number }) | null;
  eventsPerSecond: number | null;
  urls: Record<string, string>;
  /** What was said lately, oldest first. */
  log: string[];
  mode: Mode;
}

export type Mode = 'figures' | 'help' | 'anomaly';

export interface Size {
  columns: number;
  rows: number;
}

const helpText = [
  'p  pause or resume the generator: its process ends and starts again',
  'b  burst: 500 orders at once',
  'a  an anomaly: what one rule of the stream needs to fire; an alert follows',
  'h  this help, and back',
  'q  quit: stops every server, keeps the data (the same as Ctrl-C)',
  '',
  'lag        changes that are in Kafka and not in Redis yet, and how old they are',
  'events     changes applied to Redis, and by kind: c created, u updated,',
  '           d deleted, r read in a snapshot, t truncated',
  'rows       rows of the four tables in Redis',
  'revenue    sum over the orders that are not cancelled',
  'batch      the newest run and its segments of customers: docs/batch.md',
  'alerts     open ones, the newest first: npx sluice alerts show <id>',
  '',
  'From another terminal: npx sluice status, npx sluice verify.',
];

const staleMs = 5000;

export function screen(state: ScreenState, { columns, rows }: Size): Line[] {
  const width = Math.max(1, columns);
  const top = [headerOf(state, width), ...problemLines(state, width)];
  const keys: Line = [[` ${keysOf(state)}`, 'bold']];
  const room = Math.max(0, rows - top.length - 1);
  const middle = state.mode === 'help' ? [[], ...helpText.map((text): Line => [` ${text}`])] : figuresPart(state, width, room);
  const shown = middle.slice(0, room);
  const gap = Array.from({ length: room - shown.length }, (): Line => []);
  return [...top, ...shown, ...gap, keys].slice(0, Math.max(1, rows)).map((line) => cut(line, width));
}

function headerOf({ problems, nowMs, sinceMs }: ScreenState, width: number): Line {
  const health: Span = problems === null ? ['looking …', 'dim'] : problems.length === 0 ? ['healthy', 'good'] : ['NOT HEALTHY', 'bad'];
  return spread([[' Sluice  ', 'bold'], health], [[`up ${ageText(nowMs - sinceMs)} · ${new Date(nowMs).toISOString().slice(11, 19)} UTC `, 'dim']], width);
}

/** At least one line, so that the screen does not jump with every problem. */
function problemLines({ problems, figures, nowMs }: ScreenState, width: number): Line[] {
  const stale = figures && nowMs - figures.readMs > staleMs ? [`figures are ${ageText(nowMs - figures.readMs)} old`] : [];
  const words = [...(problems ?? []), ...stale].join('; ').split(' ').map(cleaned);
  return wrapped(words, ' ', width - 2, 2).map((text): Line => [[` ${text}`, 'bad']]);
}

/** Processes and figures side by side, then addresses, then what was said; the last two give way where there is no room. */
function figuresPart(state: ScreenState, width: number, room: number): Line[] {
  const leftWidth = width >= 76 ? 34 : 29;
  const left = processLines(state.processes);
  const least = Math.max(left.length, 10);
  const roomy = room >= least + 16;
  const right = figureLines(state, roomy);
  const height = Math.min(room, Math.max(least, Math.min(right.length, roomy ? Math.floor(room / 2) : least)));
  const body = Array.from({ length: height }, (_, i): Line => [...padded([' ', ...(left[i] ?? [])], leftWidth), ' ', ...(right[i] ?? [])]);
  const addresses = wrapped(Object.entries(state.urls).map(([name, url]) => `${name} ${url}`), ' · ', width - 2, 6).map((text): Line => [[` ${text}`, 'dim']]);
  const rest = room - height;
  const below = rest >= addresses.length + 5 ? [[], ...addresses, []] : rest >= addresses.length + 2 ? addresses : [];
  const said = rest > below.length ? state.log.slice(below.length - rest) : [];
  return [...body, ...below, ...said.map((text): Line => [` ${cleaned(text)}`])];
}

const styleOf: Record<ProcessState, Style> = { running: 'good', starting: 'warn', restarting: 'warn', paused: 'warn', failed: 'bad', stopped: 'bad' };

/** One line each; the consumers of the tables, of which there may be many, share one. */
function processLines(processes: ScreenState['processes']): Line[] {
  const consumers = processes.filter(({ name }) => name.startsWith('cdc-consumer'));
  const shown = processes.filter((one) => !consumers.includes(one) || one === consumers[0]);
  return shown.map((one) => (one === consumers[0] && consumers.length > 1 ? sharedLine(consumers) : processLine(one)));
}

const processLine = ({ name, state, restarts }: ScreenState['processes'][number]): Line => [name.padEnd(17), [state, styleOf[state]], restarts > 0 ? ` (${restarts}×)` : ''];

function sharedLine(consumers: ScreenState['processes']): Line {
  const notRunning = consumers.filter(({ state }) => state !== 'running');
  const restarts = consumers.reduce((sum, one) => sum + one.restarts, 0);
  const state: Span = notRunning[0] ? [`${notRunning.length} ${notRunning[0].state}`, styleOf[notRunning[0].state]] : ['running', 'good'];
  return [`cdc-consumer ×${consumers.length}`.padEnd(17), state, restarts > 0 ? ` (${restarts}×)` : ''];
}

const segmentOrder = ['Gold', 'Silver', 'Bronze'];
const unknown: Span = ['not known', 'dim'];

/** `roomy`: with a blank line between the groups and with as many alerts as there are. */
function figureLines({ lag, figures, eventsPerSecond, nowMs }: ScreenState, roomy: boolean): Line[] {
  const labelled = (label: string, ...text: Span[]): Line => [[label.padEnd(9), 'dim'], ...text];
  const space: Line[] = roomy ? [[]] : [];
  const alerts = figures?.alerts;
  const total = figures ? Object.values(figures.events).reduce((sum, count) => sum + count, 0n) : 0n;
  return [
    labelled('lag', lag ? `${grouped(lag.events)} events, ${grouped(lag.ms)} ms` : unknown),
    labelled('events', ...(figures ? [[`${grouped(Math.round(eventsPerSecond ?? 0))}/s`, 'bold'] as Span, `, ${grouped(total)} in all`] : [unknown])),
    labelled('', figures ? Object.entries(figures.events).map(([op, count]) => `${op} ${grouped(count)}`).join(' ') : ''),
    labelled('rows', figures ? grouped(figures.rows) : unknown),
    labelled('revenue', figures ? formatCents(figures.revenueCents) : unknown),
    ...space,
    ...batchLines(figures?.batch ?? null, nowMs, labelled),
    ...space,
    labelled('alerts', alerts ? [`${grouped(alerts.open)} open`, alerts.open > 0 ? 'warn' : 'good'] : unknown),
    ...(alerts?.newest ?? []).map(({ id, openedMs }): Line => [`${ageText(nowMs - openedMs).padEnd(7)}${cleaned(id)}`]),
  ];
}

function batchLines(batch: Figures['batch'], nowMs: number, labelled: (label: string, ...text: Span[]) => Line): Line[] {
  if (!batch) return [labelled('batch', ['none yet', 'dim']), labelled('')];
  const verdict: Span = [`quality ${cleaned(batch.verdict)}`, batch.verdict === 'pass' ? 'good' : 'warn'];
  const segments = Object.entries(batch.segments).sort(([a], [b]) => segmentOrder.indexOf(a) - segmentOrder.indexOf(b)).map(([name, count]) => `${cleaned(name)} ${grouped(count)}`).join(' · ');
  return [labelled('batch', `${ageText(nowMs - batch.endedMs)} ago (${batch.seconds.toFixed(1)} s), `, verdict), labelled('segments', segments || 'none')];
}

function keysOf({ mode, processes }: ScreenState): string {
  if (mode === 'help') return 'any key: back';
  if (mode === 'anomaly') return `${plannedAnomalies.map((kind, i) => `${i + 1} ${kind}`).join('  ')}  other keys: back`;
  const generator = processes.find(({ name }) => name === 'generator');
  return `h help  ${generator ? `p ${generator.state === 'paused' ? 'resume' : 'pause'} generator  ` : ''}b burst  a anomaly  q quit`;
}
