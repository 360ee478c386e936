import { Context } from '@temporalio/activity';

const heartbeatMs = 3_000;

/** Heartbeats while `work` goes on, however long one of its steps takes, with what it has told last. Resolves or rejects as it does. */
export async function whileBeating<T>(work: (tell: (progress: unknown) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let told: unknown = null;
  const beat = setInterval(() => context.heartbeat(told), heartbeatMs);
  try {
    return await work((progress) => (told = progress));
  } finally {
    clearInterval(beat);
  }
}
