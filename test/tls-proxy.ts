/** TLS in front of servers that have none: bytes for Redis, and HTTP/2 for Temporal, of which it sees what a client sends along. */
import { once } from 'node:events';
import { connect as connectHttp2, createSecureServer, type ServerHttp2Session } from 'node:http2';
import { createConnection, type AddressInfo, type Server } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';

export interface TlsProxy {
  port: number;
  close: () => Promise<void>;
}

export async function startTlsProxy(targetPort: number, options: TlsOptions): Promise<TlsProxy> {
  const sockets = new Set<{ destroy: () => unknown }>();
  const server = createServer(options, (socket) => {
    const target = createConnection({ host: '127.0.0.1', port: targetPort });
    for (const one of [socket, target]) {
      sockets.add(one);
      one.on('error', () => one.destroy()).on('close', () => sockets.delete(one));
    }
    socket.pipe(target).pipe(socket);
    target.once('close', () => socket.destroy());
    socket.once('close', () => target.destroy());
  });
  const port = await listen(server);
  return {
    port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface GrpcProxy extends TlsProxy {
  /** The `authorization` of each call. */
  authorizations: (string | undefined)[];
}

export async function startGrpcProxy(targetPort: number, options: TlsOptions): Promise<GrpcProxy> {
  const authorizations: GrpcProxy['authorizations'] = [];
  const upstream = connectHttp2(`http://127.0.0.1:${targetPort}`);
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer(options);
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => session.destroy()).on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    authorizations.push(headers.authorization);
    const call = upstream.request({ ...headers, ':scheme': 'http', ':authority': `127.0.0.1:${targetPort}` });
    let trailers = {};
    stream.on('error', () => call.close()).on('wantTrailers', () => stream.sendTrailers(trailers));
    call.on('error', () => stream.close()).on('trailers', (found) => (trailers = found));
    call.on('response', (answer) => {
      stream.respond(answer, { waitForTrailers: true });
      call.pipe(stream);
    });
    stream.pipe(call);
  });
  const port = await listen(server);
  return {
    port,
    authorizations,
    close: async () => {
      upstream.destroy();
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.on('tlsClientError', () => undefined); // who is refused is told so on his side
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
