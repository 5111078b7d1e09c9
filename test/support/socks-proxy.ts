/** A SOCKS5 proxy (RFC 1928, RFC 1929) that leads names to ports of this machine. */
import { connect, createServer, type Socket } from 'node:net';

export interface SocksProxy {
  readonly port: number;
  /** `host:port`, as asked for. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

export async function startSocks(options: {
  readonly ports: Readonly<Record<string, number>>;
  readonly user: string;
  readonly pass: string;
}): Promise<SocksProxy> {
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer(async (socket) => {
    open.add(socket.on('error', () => {}));
    const next = async (): Promise<Buffer> =>
      await new Promise((resolve) => socket.once('data', resolve as (bytes: Buffer) => void));
    await next();
    socket.write(Buffer.from([5, 2]));
    const login = await next();
    const user = login.subarray(2, 2 + (login[1] ?? 0)).toString();
    const pass = login.subarray(3 + user.length).toString();
    const isKnown = user === options.user && pass === options.pass;
    socket.write(Buffer.from([1, isKnown ? 0 : 1]));
    if (!isKnown) return socket.end();
    const request = await next();
    const host = request.subarray(5, 5 + (request[4] ?? 0)).toString();
    asked.push(`${host}:${request.readUInt16BE(request.length - 2)}`);
    const target = connect(options.ports[host] ?? 1, '127.0.0.1', () => {
      socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
      socket.pipe(target).pipe(socket);
    });
    open.add(target.on('error', () => socket.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    asked,
    close: async () => {
      for (const one of open) one.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
