/** The engines by which the nodes of a cluster share images, as far as their clients see them: Spegel's registry, Dragonfly's daemon. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a node has announced of itself. */
export interface Announced {
  /** By `registry/repository:tag`. */
  readonly tags: ReadonlyMap<string, string>;
  /** Type and bytes by digest. */
  content(digest: string): Promise<{ readonly mediaType: string; readonly bytes: Uint8Array } | undefined>;
}

export interface Engine extends AsyncDisposable {
  readonly host: string;
  readonly requests: {
    readonly path: string;
    readonly headers: IncomingMessage['headers'];
    status: number;
  }[];
  /** Called before each answer; a status is given in its place, `cut`: half of the bytes, and the end of the connection. */
  fault: (path: string) => number | 'cut' | undefined;
}

/** What the answer to a request is made of. */
interface Given {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytes?: Uint8Array;
}

async function engine(
  give: (path: string, ns: string | null, from: IncomingMessage) => Promise<Given | 'passed'>,
  pass?: (from: IncomingMessage, to: ServerResponse) => void,
): Promise<Engine> {
  const requests: Engine['requests'] = [];
  const made = { requests, fault: (_: string): number | 'cut' | undefined => undefined };
  const answer = async (from: IncomingMessage, to: ServerResponse): Promise<void> => {
    const url = new URL(from.url ?? '/', 'http://x');
    const entry = { path: from.url ?? '', headers: from.headers, status: 0 };
    requests.push(entry);
    const fault = made.fault(url.pathname);
    const given: Given | 'passed' =
      typeof fault === 'number'
        ? { status: fault }
        : await give(url.pathname, url.searchParams.get('ns'), from);
    if (given === 'passed') return pass?.(from, to);
    entry.status = given.status;
    const { status, headers, bytes = new Uint8Array() } = given;
    to.writeHead(status, { 'Content-Length': bytes.length, ...headers });
    if (from.method === 'HEAD') to.end();
    else if (fault === 'cut') to.write(bytes.subarray(0, bytes.length >> 1), () => to.destroy());
    else to.end(bytes);
  };
  const server = createServer((from, to) => void answer(from, to).catch(() => to.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(made, {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/**
 * Spegel (pkg/registry, as of 2026): GET and HEAD of manifests and blobs. A tag needs `ns`, a digest does not; what no node has announced is
 * 404, a bad range 400; with `authorization` all else is 401.
 */
export async function startSpegel(announced: Announced, authorization?: string): Promise<Engine> {
  return await engine(async (path, ns, from) => {
    if (authorization !== undefined && from.headers.authorization !== authorization) return { status: 401 };
    if (path === '/v2/' || path === '/v2') return { status: 200 };
    const [, name, kind, object = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (kind === undefined || !['GET', 'HEAD'].includes(from.method ?? '')) return { status: 404 };
    const digest = object.includes(':')
      ? object
      : ns === null
        ? undefined
        : announced.tags.get(`${ns}/${name}:${object}`);
    const found = digest === undefined ? undefined : await announced.content(digest);
    if (digest === undefined || found === undefined) return { status: 404 };
    const { bytes, mediaType } = found;
    const headers = {
      'Content-Type': kind === 'manifests' ? mediaType : 'application/octet-stream',
      'Docker-Content-Digest': digest,
      ...(ns === null ? {} : { 'OCI-Namespace': ns }),
      ...(kind === 'blobs' ? { 'Accept-Ranges': 'bytes' } : {}),
    };
    const range = kind === 'blobs' ? from.headers.range : undefined;
    if (range === undefined) return { status: 200, headers, bytes };
    const [, start = '', end = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
    if (start === '' || Number(start) >= bytes.length) return { status: 400 };
    const last = end === '' ? bytes.length - 1 : Math.min(Number(end), bytes.length - 1);
    const part = { ...headers, 'Content-Range': `bytes ${start}-${last}/${bytes.length}` };
    return { status: 206, headers: part, bytes: bytes.subarray(Number(start), last + 1) };
  });
}

/**
 * Dragonfly's daemon (dfdaemon): a proxy to the registry that X-Dragonfly-Registry names, else `ns`; the answers of the registry, with what
 * other daemons have in place of its blobs. Here no other daemon has anything.
 */
export async function startDragonfly(): Promise<Engine> {
  return await engine(
    async (_path, ns, from) => (upstreamOf(from, ns) === undefined ? { status: 400 } : 'passed'),
    (from, to) => {
      const url = new URL(from.url ?? '/', 'http://x');
      const upstream = upstreamOf(from, url.searchParams.get('ns')) ?? '';
      const { host: _, ...headers } = from.headers;
      const asked = request(new URL(url.pathname, upstream), { method: from.method, headers }, (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(to);
      });
      asked.on('error', () => to.destroy());
      asked.end();
    },
  );
}

function upstreamOf({ headers }: IncomingMessage, ns: string | null): string | undefined {
  const named = headers['x-dragonfly-registry'];
  return typeof named === 'string' ? named : ns === null ? undefined : `http://${ns}`;
}
