/** This machine: free space, and the tools that the servers to be started here need. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { access, isGiven, serverNames } from '../access.ts';
import { inheritedEnvironment, type Settings } from '../config.ts';
import { freeBytes } from '../stack/disk.ts';
import { javaProgram } from '../stack/jvm.ts';
import { layoutOf } from '../stack/project.ts';
import { runCommand } from '../stack/run-command.ts';
import { setsToFetch } from '../stack/tools.ts';
import { judge, type Finding } from './check.ts';
import { machineChecks, type MachineFacts } from './machine-checks.ts';

export async function examineMachine(settings: Settings): Promise<Finding[]> {
  const facts = { free: await readFree(settings), listed: readListed(settings), tools: await readTools(settings), walKeepMb: isGiven(settings, 'postgres') ? 0 : settings.PG_SLOT_KEEP_MB };
  return judge('machine', machineChecks, facts, 'now');
}

async function readFree(settings: Settings): Promise<MachineFacts['free']> {
  const staging = settings.BATCH_STAGING === 'directory' && settings.BATCH_STAGING_DIR ? [{ setting: 'BATCH_STAGING_DIR', folder: access.stagingDir(settings) }] : [];
  const folders = [{ setting: 'SLUICE_DATA_DIR', folder: layoutOf(settings.SLUICE_DATA_DIR).root }, ...staging];
  return Promise.all(folders.map(async (one) => ({ ...one, bytes: await freeBytes(one.folder) })));
}

function readListed(settings: Settings): MachineFacts['listed'] {
  const { SLUICE_DATA_DIR: data, SLUICE_TOOLS_DIR: tools } = settings;
  return [
    ...(isGiven(settings, 'kafka') ? [] : [{ setting: 'SLUICE_DATA_DIR', folder: data, separators: [','] }]),
    ...(isGiven(settings, 'kafka') && isGiven(settings, 'connect') ? [] : [{ setting: 'SLUICE_TOOLS_DIR', folder: tools, separators: [',', ':'] }]),
  ];
}

async function readTools(settings: Settings): Promise<MachineFacts['tools']> {
  const started = serverNames.filter((name) => !isGiven(settings, name));
  const missing = setsToFetch(settings.SLUICE_TOOLS_DIR, started);
  return {
    ...(['kafka', 'connect'].some((name) => started.some((one) => one === name)) && { java: { program: javaProgram(), major: await javaMajor() } }),
    ...(missing.includes('jars') && { maven: isOnPath('mvn') }),
    ...(missing.includes('wheels') && { python: await readPython() }),
  };
}

async function javaMajor(): Promise<number | null> {
  const major = /version "(\d+)/.exec((await outputOf(javaProgram(), ['-version'])) ?? '')?.[1];
  return major === undefined ? null : Number(major);
}

async function readPython(): Promise<MachineFacts['tools']['python']> {
  if (!isOnPath('python3')) return null;
  return (await outputOf('python3', ['-c', 'import venv, ensurepip'])) === null ? 'no venv' : 'there';
}

function isOnPath(name: string): boolean {
  return (inheritedEnvironment()['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Null when it cannot be run or fails. */
const outputOf = (file: string, args: string[]): Promise<string | null> => runCommand(file, file, args, { env: inheritedEnvironment() }).catch(() => null);
