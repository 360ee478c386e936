/**
 * What an examination is made of: facts are read from a server, checks judge them. A judgement is a pure function, and every one
 * that is not `ok` says what to do: a line of SQL, a command, a setting.
 */
import type { ServerName } from '../access.ts';

/** What is examined: a server, or the machine this runs on. */
export type Subject = ServerName | 'machine';

/** `warning`: works, and may not for long. `problem`: does not work, or is not exact. */
export type Level = 'ok' | 'warning' | 'problem';

export interface Verdict {
  level: Level;
  says: string;
  /** There whenever the level is not ok. */
  fix?: string;
}

export interface Finding extends Verdict {
  subject: Subject;
  check: string;
}

export interface Check<Facts> {
  name: string;
  /** What it looks at is made by a start, so it cannot be judged before the first. */
  madeByStart?: true;
  judge: (facts: Facts) => Verdict;
}

/** `before`: a start is about to use the server. `now`: it is said to be in use. */
export type Moment = 'before' | 'now';

export const ok = (says: string): Verdict => ({ level: 'ok', says });
export const warning = (says: string, fix: string): Verdict => ({ level: 'warning', says, fix });
export const problem = (says: string, fix: string): Verdict => ({ level: 'problem', says, fix });

export function judge<Facts>(subject: Subject, checks: readonly Check<Facts>[], facts: Facts, moment: Moment): Finding[] {
  return checks.filter(({ madeByStart }) => moment === 'now' || !madeByStart).map((check) => ({ subject, check: check.name, ...check.judge(facts) }));
}

/** Further apart than this, ages and lags mislead; beyond the second, heartbeats look late or early enough to be called unhealthy. */
const clockMs = { warning: 2000, problem: 30_000 };

/** `aheadMs`: how far the server's clock is ahead of ours. */
export function judgeClock(aheadMs: number): Verdict {
  const apart = Math.abs(aheadMs);
  const says = `${apart < 1000 ? `${Math.round(apart)} ms` : `${(apart / 1000).toFixed(1)} s`} ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine's clock`;
  if (apart < clockMs.warning) return ok(says);
  return (apart < clockMs.problem ? warning : problem)(says, 'Let both machines follow a time server (chrony or systemd-timesyncd; timedatectl shows whether they do).');
}
