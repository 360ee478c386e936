/** Dead letters as text and JSON. Only `formatContent` shows what a record held. */
import type { TopicRecord } from '../adapters/kafka-reader.ts';
import type { DeadLetter } from '../dlq/ledger.ts';

export function toJson({ name, origin, id, reason, detail, at, attempts, state, closed }: DeadLetter) {
  const { topic, partition, offset, generation } = origin;
  return { origin: name, topic, partition, offset: String(offset), generation, key: id, reason, detail, at, attempts, state, ...(closed && { closed }) };
}

const headings = ['origin', 'key', 'reason', 'detail', 'rejected', 'times', 'state'];

/** One line for each letter, in columns, and a line that counts them. */
export function formatLetters(letters: DeadLetter[], unreadable: number): string {
  const rows = letters.map(({ name, id, reason, detail, at, attempts, state, closed }) => [
    name,
    id ?? '(unreadable)',
    reason,
    detail,
    at || '(unknown)',
    String(attempts),
    closed === null ? state : `${state} by ${closed.by} at ${closed.at}${closed.note && `: ${closed.note}`}`,
  ]);
  const widths = headings.map((heading, column) => rows.reduce((width, row) => Math.max(width, row[column]!.length), heading.length));
  const line = (row: string[]): string => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd();
  const states = ['open', 'replayed', 'discarded'].flatMap((state) => {
    const count = letters.filter((letter) => letter.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  return [
    ...(rows.length === 0 ? [] : [line(headings), ...rows.map(line), '']),
    states.length === 0 ? 'No open dead letters.' : `${states.join(', ')}.`,
    ...(unreadable === 0 ? [] : [`${unreadable} records of the topic are neither letters nor resolutions.`]),
  ].join('\n');
}

/** A letter with the record's key and value: as text where they are UTF-8, otherwise in base64. */
export function formatContent(letter: DeadLetter, { key, value }: Pick<TopicRecord, 'key' | 'value'>, json: boolean): string {
  const content = { key: toText(key), value: toText(value) };
  if (json) return JSON.stringify({ ...toJson(letter), content }, null, 2);
  const { closed, ...headers } = toJson(letter);
  const lines = [...Object.entries(headers), ...Object.entries(closed ?? {}).map(([name, text]) => [`closed ${name}`, text])];
  return [...lines.map(([name, text]) => `${String(name).padEnd(12)} ${String(text)}`), '', `key    ${content.key ?? '(none)'}`, `value  ${content.value ?? '(none)'}`].join('\n');
}

function toText(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `base64:${bytes.toString('base64')}`;
}
