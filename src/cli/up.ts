/** `sluice up`: the stack in this terminal, or in the background under a supervisor of its own session. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { ConfigError, loadSettings, loadStartSettings, type Settings } from '../config.ts';
import { examineBeforeStart } from '../doctor/examine.ts';
import { PipelineError } from '../domain/errors.ts';
import { inProject, layoutOf, projectRoot } from '../stack/project.ts';
import { runStack, type RunStackOptions } from '../stack/run-stack.ts';
import { readStackRecord, isAlive } from '../stack/state-file.ts';
import { createStatusReader } from '../stack/status.ts';
import { watchStack } from '../stack/watch.ts';
import { describeFindings } from './doctor.ts';
import { createLiveLines } from './live-lines.ts';
import { showLiveScreen } from './screen/live-screen.ts';
import { isTerminal } from './screen/terminal.ts';
import { printAndExit, unhealthyCode } from './status.ts';

/** What the background supervisor tells the command that started it. */
type Message = { line: string } | { problems: string[] };

export function registerUp(program: Command): void {
  program
    .command('up')
    .description('Bring up the whole stack; returns when it is healthy and leaves it running')
    .option('--foreground', 'stay in this terminal, show figures, stop everything on Ctrl-C')
    .addOption(new Option('--json', 'what is wrong at its end as one JSON object on stdout, the steps on stderr').conflicts('foreground'))
    .action(async ({ foreground, json }: { foreground?: true; json?: true }) => {
      const settings = loadStartSettings(undefined, projectRoot);
      process.exitCode = foreground ? await upForeground(settings) : await upBackground(settings, json === true);
    });
  program.command('supervise', { hidden: true }).action(async () => {
    process.exitCode = await superviseDetached(loadStartSettings(undefined, projectRoot));
  });
}

/** On a terminal the start is a view that changes in place and then the live screen; elsewhere, lines. */
async function upForeground(settings: Settings): Promise<number> {
  if (!isTerminal()) return supervise(settings, { print: (line) => console.log(line), watch: (stack) => watchStack(stack.settings, stack.signal, stack.say) });
  const lines = createLiveLines(process.stdout);
  return supervise(settings, { ...lines, watch: (stack) => showLiveScreen(stack, lines) });
}

async function upBackground(settings: Settings, json: boolean): Promise<number> {
  const layout = layoutOf(settings.SLUICE_DATA_DIR);
  const record = readStackRecord(layout.stateFile);
  if (record && isAlive(record.supervisor)) return reportRunning(record.supervisor.pid, json);
  mkdirSync(layout.root, { recursive: true, mode: 0o711 });
  mkdirSync(layout.logs, { recursive: true, mode: 0o700 });
  const log = openSync(layout.logOf('supervisor'), 'a', 0o600);
  const child = spawn(process.execPath, [inProject('dist/main/cli.js'), 'supervise'], {
    cwd: projectRoot,
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  return new Promise((resolve) => {
    child.on('message', (message: Message) => {
      if ('line' in message) (json ? console.error : console.log)(message.line);
      else {
        if (json) console.log(healthJson(message.problems));
        child.disconnect();
        child.unref();
        resolve(message.problems.length === 0 ? 0 : unhealthyCode);
      }
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** Of a running stack only its health is told, as `status` would. */
async function reportRunning(pid: number, json: boolean): Promise<never> {
  const { healthy, problems } = await createStatusReader(loadSettings(undefined, projectRoot))();
  const found = `The stack is already running (supervisor pid ${pid})`;
  const text = healthy ? `${found}.` : `${found}, but NOT HEALTHY: ${problems.join('; ')}`;
  return printAndExit(json ? healthJson(problems) : text, healthy ? 0 : unhealthyCode);
}

const healthJson = (problems: string[]): string => JSON.stringify({ healthy: problems.length === 0, problems }, null, 2);

async function superviseDetached(settings: Settings): Promise<number> {
  const tell = (message: Message): void => {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined); // whoever started us may be gone by now
  };
  const print = (line: string): void => {
    console.log(`${new Date().toISOString()} ${line}`);
    tell({ line });
  };
  const code = await supervise(settings, { print, onStarted: (problems) => tell({ problems }) }).catch((error: Error) => {
    tell({ line: `${error.message}. More in logs/supervisor.log in SLUICE_DATA_DIR.` });
    throw error;
  });
  if (process.connected) process.disconnect();
  return code;
}

/** Before anything is started: this machine, and the servers that are there already, must be as the pipeline needs them. */
async function requireSoundServers(settings: Settings, print: (line: string) => void): Promise<void> {
  const findings = (await examineBeforeStart(settings)).filter(({ level }) => level !== 'ok');
  const problems = findings.filter(({ level }) => level === 'problem');
  if (problems.length > 0) throw new PipelineError('server_unsound', `Nothing was started:\n${describeFindings(problems)}`);
  if (findings.length > 0) print(describeFindings(findings));
}

/** A healthy stack that was asked to stop is a success; a start that failed has said why. */
async function supervise(settings: Settings, options: RunStackOptions): Promise<number> {
  try {
    await requireSoundServers(settings, options.print);
    return (await runStack(settings, options)) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof PipelineError || error instanceof ConfigError)) throw error;
    options.print(`\n${error.message}`);
    return error instanceof ConfigError ? 2 : 1;
  }
}
