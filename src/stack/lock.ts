/**
 * One holder at a time, across processes, for a folder. An abstract Unix socket is the lock: the kernel lets go of it
 * when its holder dies, however it dies, so there is never a stale lock to judge.
 */
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { errnoOf } from './errno.ts';

const pollMs = 200;

/** Takes the lock of `purpose` on `path`, or returns null when another process holds it. */
export async function tryLock(path: string, purpose: string): Promise<{ release: () => void } | null> {
  const name = createHash('sha256').update(`${purpose}\0${path}`).digest('hex').slice(0, 32);
  const server = createServer();
  try {
    await listen(server, `\0sluice-${name}`);
  } catch (error) {
    if (errnoOf(error) === 'EADDRINUSE') return null;
    throw error;
  }
  server.unref();
  return { release: () => void server.close() };
}

/** Runs `work` while holding the lock; `onWait` is called once when it must be waited for, until `signal`. */
export async function withLock<T>(path: string, purpose: string, { onWait, signal }: { onWait: () => void; signal: AbortSignal }, work: () => Promise<T>): Promise<T> {
  let lock = await tryLock(path, purpose);
  if (!lock) onWait();
  while (!lock) {
    await wait(pollMs, undefined, { signal });
    lock = await tryLock(path, purpose);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(address, () => resolve());
  });
}
