/** A loopback HTTP proxy in front of a registry: it keeps a log of the requests and can be made slow. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Logged {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly status: number;
}

export interface SlowProxy extends AsyncDisposable {
  readonly host: string;
  /** Requests answered, in order; cleared by the caller. */
  log: Logged[];
  /** Bytes a second over all responses; Infinity for no limit. */
  rate: number;
}

export async function startSlowProxy(upstream: string): Promise<SlowProxy> {
  let free = 0;
  const proxy = { log: [] as Logged[], rate: Number.POSITIVE_INFINITY };
  const pace = async (bytes: number): Promise<void> => {
    if (proxy.rate === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    free = Math.max(free, now) + (bytes / proxy.rate) * 1000;
    if (free - now > 2) await sleep(free - now);
  };
  const forward = async (from: IncomingMessage, to: ServerResponse): Promise<void> => {
    const answer = await ask(upstream, from);
    const [method, path] = [from.method ?? '', from.url ?? ''];
    proxy.log.push({ method, path, range: from.headers.range, status: answer.statusCode ?? 0 });
    to.writeHead(answer.statusCode ?? 502, answer.headers);
    to.on('close', () => answer.destroy());
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += 16384) {
        const part = chunk.subarray(at, at + 16384);
        await pace(part.length);
        if (to.destroyed) return;
        if (!to.write(part)) await drained(to);
      }
    }
    to.end();
  };
  const server = createServer((from, to) => {
    forward(from, to).catch(() => to.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(proxy, {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Until more can be written, or nothing ever again. */
function drained(to: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done).off('close', done);
      resolve();
    };
    to.on('drain', done).on('close', done);
  });
}

function ask(upstream: string, from: IncomingMessage): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { ...from.headers };
    const asked = request(`http://${upstream}${from.url}`, { method: from.method, headers }, resolve);
    asked.on('error', reject);
    asked.end();
  });
}
