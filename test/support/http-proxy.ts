/** An HTTP proxy for tests: CONNECT and absolute URLs, every name leading to a port of this machine; Basic if wanted. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { basic } from '../registry/auth.ts';

export interface HttpProxy {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** `CONNECT reg.test:443`, `GET http://reg.test/v2/...`: the first lines without the version. */
  readonly log: string[];
  /** The headers of each, as they came. */
  readonly heads: string[];
  close(): Promise<void>;
}

export interface ProxyOptions {
  /** Which port a host (with or without its port) is at. Not given: the port that was asked for. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly user?: string;
  readonly pass?: string;
  /** The status line of the answer to everybody (`403 Forbidden`). */
  readonly refuses?: string;
}

export async function startProxy(options: ProxyOptions = {}): Promise<HttpProxy> {
  const log: string[] = [];
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    track(client);
    let head = '';
    const read = (chunk: Uint8Array): void => {
      head += new TextDecoder('latin1').decode(chunk);
      if (!head.includes('\r\n\r\n')) return;
      client.off('data', read);
      client.pause();
      heads.push(head);
      log.push(head.slice(0, head.indexOf(' HTTP/1.1')));
      serve(client, head, options, track);
    };
    client.on('data', read);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    heads,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function serve(client: Socket, head: string, options: ProxyOptions, track: (socket: Socket) => Socket): void {
  if (options.refuses !== undefined) {
    client.end(`HTTP/1.1 ${options.refuses}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    return;
  }
  const wanted = options.user === undefined ? undefined : basic(options.user, options.pass ?? '');
  const given = /^proxy-authorization: (.*)\r$/im.exec(head)?.[1];
  if (wanted !== undefined && given !== wanted) {
    client.end(
      'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    );
    return;
  }
  const [method = '', target = ''] = head.split(' ');
  const url = new URL(method === 'CONNECT' ? `https://${target}` : target);
  const asked = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const port = options.ports?.[url.host] ?? options.ports?.[url.hostname] ?? asked;
  const upstream = track(connect(port, '127.0.0.1'));
  upstream.on('error', () => client.destroy());
  upstream.on('connect', () => {
    if (method === 'CONNECT') client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    else upstream.write(forwarded(head, url), 'latin1');
    client.pipe(upstream);
    upstream.pipe(client);
  });
}

/** To the origin: its own form of the target, one request a connection, and nothing that is for the proxy. */
function forwarded(head: string, url: URL): string {
  const [first = '', ...lines] = head.split('\r\n');
  const kept = lines.filter((line) => !/^(?:proxy-|connection:)/i.test(line));
  const line = first.replace(/ \S+ /, ` ${url.pathname}${url.search} `);
  return [line, 'Connection: close', ...kept].join('\r\n');
}
