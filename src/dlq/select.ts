/** Which letters a command is about. All that is given must hold. Pure. */
import { tableTopic } from '../domain/topics.ts';
import type { DeadLetter } from './ledger.ts';

export interface Selection {
  origin?: string[];
  table?: string;
  key?: string;
  reason?: string;
  /** Time of the last rejection: `since` inclusive, `until` exclusive, milliseconds since 1970. */
  since?: number;
  until?: number;
}

export function selectLetters(letters: DeadLetter[], { origin, table, key, reason, since, until }: Selection, topicPrefix: string): DeadLetter[] {
  const origins = origin && new Set(origin);
  return letters.filter((letter) => {
    const atMs = Date.parse(letter.at) || 0;
    return (
      (origins?.has(letter.name) ?? true) &&
      (table === undefined || letter.origin.topic === tableTopic(topicPrefix, table)) &&
      (key === undefined || letter.id === key) &&
      (reason === undefined || letter.reason === reason) &&
      (since === undefined || atMs >= since) &&
      (until === undefined || atMs < until)
    );
  });
}
