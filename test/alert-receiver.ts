/** A real HTTP server in the place of a webhook or Slack: remembers what came, answers what it is told to. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** What it was answered. */
  answer: Answer;
}

/** An HTTP status, or what is done with the response; a `null` answers never. */
export type Answer = number | null | ((response: ServerResponse) => void);

/** On `port`, 0 for any; `answer`: what a request gets for which nothing else is said. */
export async function startReceiver(port = 0, answer: Answer = 204) {
  const received: Received[] = [];
  const answers: Answer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const given = answers.length > 0 ? answers.shift()! : answer;
      received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString('utf8'), answer: given });
      if (typeof given === 'function') given(response);
      else if (given !== null) response.writeHead(given).end('an answer that nobody should keep');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    /** What the next requests get. */
    answers,
    reset: () => {
      received.length = 0;
      answers.length = 0;
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
