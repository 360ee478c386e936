/** A real HTTP server in the place of a webhook or Slack: remembers what came, answers what it is told to. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An HTTP status, or what is done with the response; a `null` answers never. */
export type Answer = number | null | ((response: ServerResponse) => void);

export async function startReceiver() {
  const received: Received[] = [];
  const answers: Answer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      const answer = answers.length > 0 ? answers.shift()! : 204;
      if (typeof answer === 'function') answer(response);
      else if (answer !== null) response.writeHead(answer).end('an answer that nobody should keep');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    /** What the next requests get; 204 when there is none left. */
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
