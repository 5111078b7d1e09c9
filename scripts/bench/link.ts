/**
 * A long way to a registry, as a program of its own: node link.ts PORT DELAY RATE. TCP is forwarded to PORT on loopback; each piece
 * arrives DELAY ms later, each connection sends back at most RATE bytes a second (0: no limit). Prints the port that it listens on.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { node26 } from '../../test/support/runtimes.ts';

export interface Link {
  /** Milliseconds, each way. */
  readonly delay: number;
  /** Bytes a second and connection; 0: no limit. */
  readonly rate: number;
}

/** Most bytes on the way of one connection: what a receiver's window would hold. */
const WINDOW = 4 << 20;

/** The host that leads to `host` over the link. */
export async function startLink(
  host: string,
  { delay, rate }: Link,
): Promise<AsyncDisposable & { host: string }> {
  const port = host.slice(host.lastIndexOf(':') + 1);
  const child = spawn(node26, [import.meta.filename, port, String(delay), String(rate)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    host: `127.0.0.1:${line}`,
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    },
  };
}

/** Pieces leave `from` as they come and reach `to` later, in order. */
function carry(from: Socket, to: Socket, { delay, rate }: Link): void {
  let free = 0;
  let onTheWay = 0;
  const queue: { readonly at: number; readonly bytes: number; readonly arrive: () => void }[] = [];
  // One timer, for the first of the queue: timers of their own keep no order.
  const next = (): void => {
    const [first] = queue;
    if (first === undefined) return;
    const arrive = (): void => {
      queue.shift();
      onTheWay -= first.bytes;
      if (onTheWay <= WINDOW) from.resume();
      first.arrive();
      next();
    };
    setTimeout(arrive, Math.max(0, first.at - performance.now()));
  };
  const send = (bytes: number, arrive: () => void): void => {
    free = Math.max(free, performance.now()) + (rate === 0 ? 0 : (bytes / rate) * 1000);
    onTheWay += bytes;
    if (queue.push({ at: free + delay, bytes, arrive }) === 1) next();
  };
  from.on('data', (piece) => {
    send(piece.length, () => void (to.destroyed || to.write(piece)));
    if (onTheWay > WINDOW) from.pause();
  });
  from.on('end', () => send(0, () => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => send(0, () => to.destroy()));
}

function serve(port: number, link: Link): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    // A connection is made by one round trip.
    client.pause();
    setTimeout(() => {
      const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      carry(client, upstream, { ...link, rate: 0 });
      carry(upstream, client, link);
      client.resume();
    }, 2 * link.delay);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    console.log(typeof address === 'object' && address !== null ? address.port : 0);
  });
}

if (process.argv[1] === import.meta.filename) {
  const [port = 0, delay = 0, rate = 0] = process.argv.slice(2).map(Number);
  serve(port, { delay, rate });
}
