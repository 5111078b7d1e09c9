/** Serves exactly what a test puts there, lies included, as a registry would: for failures seen through the command line. */
import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { CONFIG, type Described, INDEX, MANIFEST } from '../../scripts/fixtures/layout.ts';
import { noise } from './small-image.ts';

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Sends this many bytes of the body, then nothing more, and keeps the connection open. */
  readonly hangAfter?: number;
}

export interface StaticRegistry extends AsyncDisposable {
  readonly host: string;
  /** Paths after `/v2/`, such as `x/manifests/1`; what is not there is a 404. */
  readonly answers: Map<string, Answer>;
  /** Answers everything when set, the map aside. */
  always: Answer | undefined;
}

export async function startStaticRegistry(tls?: { key: string; cert: string }): Promise<StaticRegistry> {
  const state = { answers: new Map<string, Answer>(), always: undefined as Answer | undefined };
  const listener: RequestListener = async (request, response) => {
    const path = (request.url ?? '').replace(/^\/v2\//, '').replace(/\?.*/, '');
    const {
      status = 200,
      headers,
      body = '',
      hangAfter,
    } = state.always ?? state.answers.get(path) ?? NOT_FOUND;
    const bytes = Buffer.from(body as Uint8Array);
    response.writeHead(status, { 'content-length': bytes.length, ...headers });
    if (request.method === 'HEAD') return void response.end();
    if (hangAfter === undefined) return void response.end(bytes);
    response.write(bytes.subarray(0, hangAfter));
    while (!response.destroyed) await sleep(50);
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return Object.assign(state, {
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

const NOT_FOUND: Answer = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }),
};

/** How an image served as `x:1` differs from a right one. */
export interface Lies {
  /** The layer's tar; not given: 100 kB of noise in a file. */
  readonly tar?: Uint8Array;
  /** What is served and described instead of the gzip of the tar. */
  readonly layer?: (gzip: Buffer) => Buffer;
  /** What is served for the layer's digest. */
  readonly served?: (layer: Buffer) => Answer;
  /** Added to the layer's size in the manifest. */
  readonly sizeOff?: number;
  readonly diffId?: string;
  /** An index with only this architecture in front. */
  readonly onlyArchitecture?: string;
}

export async function serveImage(registry: StaticRegistry, lies: Lies = {}): Promise<void> {
  const put = (kind: 'manifests' | 'blobs', mediaType: string, body: Uint8Array): Described => {
    const digest = digestOf(body);
    const headers = { 'content-type': mediaType, 'docker-content-digest': digest };
    registry.answers.set(`x/${kind}/${digest}`, { headers, body });
    return { mediaType, digest, size: body.length };
  };
  const json = (kind: 'manifests' | 'blobs', mediaType: string, value: unknown): Described =>
    put(kind, mediaType, Buffer.from(JSON.stringify(value)));

  const tar = lies.tar ?? (await tarOf({ noise: noise(1, 100_000) }));
  const gzip = gzipSync(tar);
  const bytes = lies.layer?.(gzip) ?? gzip;
  const layer = put('blobs', 'application/vnd.oci.image.layer.v1.tar+gzip', bytes);
  if (lies.served) registry.answers.set(`x/blobs/${layer.digest}`, lies.served(bytes));
  const rootfs = { type: 'layers', diff_ids: [lies.diffId ?? digestOf(tar)] };
  const config = json('blobs', CONFIG, { architecture: 'amd64', os: 'linux', config: {}, rootfs });
  const layers = [{ ...layer, size: layer.size + (lies.sizeOff ?? 0) }];
  let root = json('manifests', MANIFEST, { schemaVersion: 2, mediaType: MANIFEST, config, layers });
  if (lies.onlyArchitecture !== undefined) {
    const platform = { os: 'linux', architecture: lies.onlyArchitecture };
    const manifests = [{ ...root, platform }];
    root = json('manifests', INDEX, { schemaVersion: 2, mediaType: INDEX, manifests });
  }
  const answer = registry.answers.get(`x/manifests/${root.digest}`);
  if (answer !== undefined) registry.answers.set('x/manifests/1', answer);
}

export async function tarOf(files: Readonly<Record<string, Uint8Array>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of Object.entries(files)) tar.entry({ name }, Buffer.from(bytes));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
