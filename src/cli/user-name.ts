import { userInfo } from 'node:os';

/** The account that speaks; a container may run under a number without a name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
