/** Ports on loopback: whether each is free, and who has it when it is not. */
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { isGiven, loopback, type ServerName } from '../access.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';

/** Each port the stack listens on, and whose it is. */
const portOwners = {
  ...{ POSTGRES_PORT: 'postgres', KAFKA_PORT: 'kafka', CONNECT_PORT: 'connect', REDIS_PORT: 'redis' },
  ...{ TEMPORAL_PORT: 'temporal', TEMPORAL_UI_PORT: 'temporal', WORKER_METRICS_PORT: null },
} as const satisfies Partial<Record<keyof Settings, ServerName | null>>;
export const portSettings = Object.keys(portOwners) as (keyof typeof portOwners)[];
export const portsOf = (settings: Settings): number[] => portSettings.map((name) => settings[name]);

/** Throws port_taken with one line per port that cannot be used. */
export async function requireFreePorts(settings: Settings): Promise<void> {
  const problems: string[] = [];
  const seen = new Map<number, string>();
  for (const name of portSettings) {
    const port = settings[name];
    const owner = portOwners[name];
    if (port === 0 || (owner && isGiven(settings, owner))) continue; // switched off, or not ours to open
    const twin = seen.get(port);
    if (twin) problems.push(`${name} and ${twin} are both ${port}: give one of them another port.`);
    seen.set(port, name);
    const code = await tryPort(port);
    if (code === 'EADDRINUSE') {
      problems.push(`Port ${port} (${name}) is taken by ${ownerOf(port) ?? 'another process'}: stop it, or set ${name} to a free port.`);
    } else if (code) {
      problems.push(`Port ${port} (${name}) cannot be opened (${code}): set ${name} to another port.`);
    }
  }
  if (problems.length > 0) throw new PipelineError('port_taken', problems.join('\n'));
}

/**
 * A port nobody listens on now and that is none of `meant`, those whose servers are yet to start; below the range that
 * systems give to outgoing connections (32768 and up on Linux): between the choice and the start of its server no connection can take it.
 */
export async function findFreePort(meant: readonly number[] = []): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    if (meant.includes(port)) continue;
    const code = await tryPort(port);
    if (code === null) return port;
    if (code !== 'EADDRINUSE') throw new Error(`no port could be opened on ${loopback} (${code})`);
  }
}

/** One attempt: resolves when something accepts a connection. */
export function probePort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: loopback, port });
    socket.once('error', reject).once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

function tryPort(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown')).listen(port, loopback, () => server.close(() => resolve(null)));
  });
}

/** `pid 123 (postgres)` for a listener that we may see; a process of another user stays unnamed. */
function ownerOf(port: number): string | null {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((file) => readLines(file))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === '0A')
    .map((fields) => `socket:[${fields[9]}]`);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (openFilesOf(pid).some((target) => inodes.includes(target))) {
      return `pid ${pid} (${readLines(`/proc/${pid}/comm`)[0] ?? '?'})`;
    }
  }
  return null;
}

function openFilesOf(pid: string): string[] {
  const folder = `/proc/${pid}/fd`;
  return quietly(() => readdirSync(folder), []).map((fd) => quietly(() => readlinkSync(`${folder}/${fd}`), ''));
}

const readLines = (file: string): string[] => quietly(() => readFileSync(file, 'utf8').trimEnd().split('\n'), []);

/** /proc changes while it is read, and other people's processes are closed to us: both mean "not known". */
function quietly<T>(read: () => T, unknown: T): T {
  try {
    return read();
  } catch {
    return unknown;
  }
}
