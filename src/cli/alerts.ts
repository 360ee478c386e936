/** `sluice alerts ls | show | ack | snooze | resolve`: what Temporal says of alerts, and what a person says to them. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { TemporalClient } from '../adapters/temporal.ts';
import { alertTypes, alertWorkflowId, parseAlertRef, severities, type AlertRef } from '../domain/alert.ts';
import { ageText } from '../domain/alert-notice.ts';
import { PipelineError } from '../domain/errors.ts';
import { acknowledgeUpdate, alertStateQuery, alertWorkflowType, resolveUpdate, snoozeUpdate, type AlertState } from '../workflows/alert-contract.ts';
import { parseSeconds, parseTime } from './duration.ts';
import { withTemporal } from './follow-workflow.ts';
import { userName } from './user-name.ts';

interface ListOptions {
  type?: string;
  severity?: string;
  json?: true;
}

interface SayOptions {
  by: string;
  note: string;
  reason: string;
  for?: number;
  until?: string;
  json?: true;
}

export function registerAlerts(program: Command): void {
  const alerts = program.command('alerts').description('Alerts that are open, and what to say to them');
  alerts
    .command('ls')
    .description('List open alerts, the newest first')
    .addOption(new Option('--type <type>', 'of this type').choices(alertTypes))
    .addOption(new Option('--severity <severity>', 'of this severity').choices(severities))
    .option('--json', 'as one JSON object')
    .action(listAlerts);
  const about = (name: string, description: string): Command =>
    alerts.command(name).description(description).argument('<alert>', '<type>/<entity>/<episode>, as ls prints it', refOf).option('--json', 'its state as one JSON object');
  about('show', 'Show an alert: its state, whom it has told, what was said to it').action((ref: AlertRef, { json }: SayOptions) => showAlert(ref, json === true));
  const said = (name: string, description: string, say: (options: SayOptions, command: Command) => [update: string, args: [string, string]]): Command =>
    about(name, description)
      .option('--by <name>', 'who says so', userName())
      .action((ref: AlertRef, options: SayOptions, command: Command) => tellAlert(ref, say(options, command), options.json === true));
  said('ack', 'Say that you look after it: it does not escalate any more', ({ by, note }) => [acknowledgeUpdate, [by, note]]).option('--note <text>', 'kept with the alert', '');
  said('snooze', 'Be told again later, unless it is over by then', ({ by, ...options }, command) => [snoozeUpdate, [snoozeEnd(options, command), by]])
    .option('--for <duration>', 'such as 30m, 2h or 1d', parseSeconds)
    .option('--until <time>', 'UTC, such as 2026-11-22T10:00:00Z', parseTime);
  said('resolve', 'Say that it is over', ({ by, reason }) => [resolveUpdate, [by, reason]]).option('--reason <text>', 'kept with the alert', '');
}

function refOf(text: string): AlertRef {
  const ref = parseAlertRef(text);
  if (!ref) throw new InvalidArgumentError(`${text} is no alert: give <type>/<entity>/<episode>, as sluice alerts ls prints it (types: ${alertTypes.join(', ')})`);
  return ref;
}

function snoozeEnd({ for: seconds, until }: Pick<SayOptions, 'for' | 'until'>, command: Command): string {
  if ((seconds === undefined) === (until === undefined)) return command.error('error: give either --for or --until');
  return until ?? new Date(Date.now() + seconds! * 1000).toISOString();
}

function listAlerts({ type, severity, json }: ListOptions): Promise<void> {
  return withTemporal(async (temporal) => {
    const open = (await temporal.listOpen(alertWorkflowType)).map(({ id, startedAt, attributes }) => ({
      alert: id.replace(/^alert\//, ''),
      type: String(attributes['AlertType'] ?? ''),
      severity: String(attributes['AlertSeverity'] ?? ''),
      status: String(attributes['AlertStatus'] ?? ''),
      since: startedAt.toISOString(),
    }));
    const found = open.filter((one) => (type === undefined || one.type === type) && (severity === undefined || one.severity === severity));
    if (json) return console.log(JSON.stringify({ alerts: found }, null, 2));
    const width = Math.max(0, ...found.map(({ alert }) => alert.length));
    for (const { alert, severity, status, since } of found) console.log(`${alert.padEnd(width)}  ${severity.padEnd(6)}  ${status.padEnd(12)}  ${ageText(Date.now() - Date.parse(since))}`);
    console.log(found.length === 0 ? 'No alert is open.' : `${found.length} open.`);
  });
}

function showAlert(ref: AlertRef, json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const state = await temporal.queryWorkflow<AlertState>(alertWorkflowId(ref), alertStateQuery);
    if (!state) throw unknown(ref);
    console.log(json ? JSON.stringify(state, null, 2) : describe(state));
  });
}

/** Updates are the workflow's to refuse; what it says of it is passed on. */
function tellAlert(ref: AlertRef, [update, args]: [update: string, args: [string, string]], json: boolean): Promise<void> {
  return withTemporal(async (temporal) => {
    const state = await temporal.updateWorkflow<AlertState>(alertWorkflowId(ref), update, args);
    if (!state) throw await whyNotThere(temporal, ref);
    console.log(json ? JSON.stringify(state, null, 2) : `${ref.type}/${state.alertId} is ${state.status}${state.snoozed ? ` until ${state.snoozed.until}` : ''}.`);
  });
}

const unknown = (ref: AlertRef): PipelineError => new PipelineError('bad_argument', `There is no alert ${alertWorkflowId(ref).slice('alert/'.length)}: sluice alerts ls lists those that are open`);

async function whyNotThere(temporal: TemporalClient, ref: AlertRef): Promise<PipelineError> {
  const found = await temporal.describeWorkflow(alertWorkflowId(ref));
  return found ? new PipelineError('bad_argument', `Alert ${alertWorkflowId(ref).slice('alert/'.length)} is over (${found.status.toLowerCase()}): sluice alerts show says how it ended`) : unknown(ref);
}

function describe(state: AlertState): string {
  const { type, alertId, severity, status, level, value, threshold, window, occurrences, firstAt, lastAt, openedAt, acknowledged, snoozed, resolved, notifications, notificationsDropped, failing, note } = state;
  const lines: [name: string, text: string][] = [
    ['alert', `${type}/${alertId}`],
    ['status', `${severity}, ${status}${level > 1 ? `, level ${level}` : ''}, opened ${openedAt}`],
    ['value', `${value}, threshold ${threshold} (${window})`],
    ['seen', occurrences === 1 ? `once, ${firstAt}` : `${occurrences} times, from ${firstAt} to ${lastAt}`],
    ['acknowledged', acknowledged ? `by ${acknowledged.by} at ${acknowledged.at}${acknowledged.note ? `: ${acknowledged.note}` : ''}` : ''],
    ['snoozed', snoozed ? `until ${snoozed.until}${snoozed.by ? ` by ${snoozed.by}` : ''}` : ''],
    ['resolved', resolved ? `by ${resolved.by} at ${resolved.at}: ${resolved.reason}` : ''],
    ...Object.entries(failing).map(([channel, why]): [string, string] => ['FAILING', `${channel}: ${why}`]),
    ...notifications.map(({ at, kind, channel, result, attempts, reason }): [string, string] => ['told', `${at} ${kind}${channel ? ` to ${channel}` : ''}: ${result}${attempts > 1 ? `, ${attempts} attempts` : ''}${reason ? ` (${reason})` : ''}`]),
    ['', notificationsDropped > 0 ? `and ${notificationsDropped} before these` : ''],
    ['note', note],
  ];
  return lines.flatMap(([name, text]) => (text === '' ? [] : [`${name.padEnd(13)} ${text}`])).join('\n');
}
