/** Archives from URLs, and of a digest: lost connections, servers that lie, and what is recorded then: nothing. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { partsOf } from '../../src/entry/stores.ts';
import { openStore } from '../../src/mod.ts';
import { runHere } from '../support/command-line.ts';
import { blobEntry, blobs, indexOf, LAYOUT, tarOf } from '../support/golden-image.ts';
import { tempDir } from '../support/tmp.ts';

const NAME = 'registry.example/t/img:1';
const ARCHIVE = tarOf([
  ['oci-layout', LAYOUT],
  ['index.json', indexOf([{ 'io.containerd.image.name': NAME }])],
  ...blobs().map(blobEntry),
]);
const SHA256 = createHash('sha256').update(ARCHIVE).digest('hex');

type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

interface World {
  readonly url: string;
  readonly requests: IncomingMessage[];
  /** `hawser import SOURCE ...`, and the names that are there afterwards. */
  load(source: string, ...args: readonly string[]): Promise<{ code: number; err: string; names: string }>;
  path(name: string): string;
}

async function withServer(answer: Answer, body: (world: World) => Promise<void>): Promise<void> {
  const dir = tempDir();
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const root = join(dir.path, 'root');
  const store = await openStore({ root });
  const { runtime } = partsOf(store);
  try {
    await body({
      url: `http://127.0.0.1:${port}/a.tar`,
      requests,
      path: (name) => join(dir.path, name),
      load: async (source, ...args) => {
        const line = ['import', '--no-unpack', '--plain-http', '--retry', '3', ...args, source];
        const { code, err } = await runHere(runtime, root, line);
        const names = (await runHere(runtime, root, ['images', 'ls', '-q'])).out.trim();
        return { code, err, names };
      },
    });
  } finally {
    await store[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    dir[Symbol.dispose]();
  }
}

const startOf = ({ headers }: IncomingMessage): number =>
  Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);

/** A part by Range, as a server gives it; the connection is cut after `most` bytes. */
function part(request: IncomingMessage, response: ServerResponse, most: number, etag = '"a"'): void {
  const start = startOf(request);
  const range = `bytes ${start}-${ARCHIVE.length - 1}/${ARCHIVE.length}`;
  response.writeHead(start === 0 ? 200 : 206, {
    etag,
    'content-length': ARCHIVE.length - start,
    ...(start === 0 ? {} : { 'content-range': range }),
  });
  cut(response, ARCHIVE.subarray(start), most);
}

function cut(response: ServerResponse, bytes: Uint8Array, most: number): void {
  if (bytes.length <= most) response.end(bytes);
  else response.write(bytes.subarray(0, most), () => response.destroy());
}

test('lost connections are gone on with, by ranges of the same file', () =>
  withServer(
    (request, response) => part(request, response, 5000),
    async ({ url, requests, load }) => {
      const { code, err, names } = await load(url);
      assert.deepEqual([code, names], [0, NAME], err);
      assert.equal(requests.length, Math.ceil(ARCHIVE.length / 5000));
      const [first, second] = requests;
      assert.deepEqual([first?.headers.range, first?.headers['accept-encoding']], [undefined, 'identity']);
      assert.match(second?.headers.range ?? '', /^bytes=[1-9]\d*-$/);
      assert.equal(second?.headers['if-range'], '"a"');
    },
  ));

test('a server without ranges sends the begin again, which is passed over', () =>
  withServer(
    (_, response, count) => {
      response.writeHead(200, { 'content-length': ARCHIVE.length });
      cut(response, ARCHIVE, count * 6000);
    },
    async ({ url, load }) => {
      const { code, err, names } = await load(url, '--sha256', SHA256);
      assert.deepEqual([code, names], [0, NAME], err);
    },
  ));

const FAILURES: Readonly<Record<string, { answer: Answer; says: RegExp }>> = {
  'a file that changes meanwhile': {
    answer: (request, response, count) => part(request, response, 5000, `"${count}"`),
    says: /has changed, or its server gives another part/,
  },
  'another part than was asked for': {
    answer: (request, response) => {
      if (startOf(request) === 0) return part(request, response, 5000);
      response.writeHead(206, { 'content-range': `bytes 1-9/${ARCHIVE.length}`, 'content-length': 9 });
      response.end(ARCHIVE.subarray(1, 10));
    },
    says: /has changed, or its server gives another part/,
  },
  'no such file': { answer: (_, response) => response.writeHead(404).end('none'), says: /404 Not Found/ },
  'a page in its place': {
    answer: (_, response) => response.writeHead(200).end('<html>'.padEnd(4096, ' ')),
    says: /Cannot import http:.*a\.tar/,
  },
  'an end in the middle, which nothing tells': {
    answer: (_, response) => {
      response.writeHead(200);
      response.end(ARCHIVE.subarray(0, ARCHIVE.length - 3000));
    },
    says: /truncated/,
  },
  'a redirect to an address of the machine': {
    answer: (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end(),
    says: /169\.254\.169\.254.*special address/,
  },
};

for (const [what, { answer, says }] of Object.entries(FAILURES))
  test(`${what}: an error, and nothing is recorded`, () =>
    withServer(answer, async ({ url, load }) => {
      const { code, err, names } = await load(url);
      assert.deepEqual([code, names], [1, ''], err);
      assert.match(err, says);
    }));

test('a digest of all bytes: of a URL, a file and what is compressed; with another one nothing is recorded', () =>
  withServer(
    (request, response) => part(request, response, ARCHIVE.length),
    async ({ url, load, path }) => {
      const gzip = gzipSync(ARCHIVE);
      writeFileSync(path('a.tar'), ARCHIVE);
      writeFileSync(path('a.tar.gz'), gzip);
      const other = '0'.repeat(64);
      for (const source of [url, path('a.tar'), path('a.tar.gz')]) {
        const { code, err, names } = await load(source, '--sha256', other);
        assert.deepEqual([code, names], [1, ''], err);
        assert.match(err, /the archive is sha256:[0-9a-f]{64}, and not sha256:0{64} as was asked for/);
      }
      const ofGzip = createHash('sha256').update(gzip).digest('hex');
      for (const [source, digest] of [
        [path('a.tar.gz'), ofGzip],
        [path('a.tar'), SHA256],
        [url, `sha256:${SHA256}`],
      ] as const) {
        const { code, err, names } = await load(source, '--sha256', digest);
        assert.deepEqual([code, names], [0, NAME], err);
      }
    },
  ));

test('of what is here and recorded, the rest of a URL is not asked for', () =>
  withServer(
    (_, response, count) => {
      response.writeHead(200, { 'content-length': ARCHIVE.length });
      if (count === 1) response.end(ARCHIVE);
      // The last blob and the end of the archive never come.
      else response.write(ARCHIVE.subarray(0, ARCHIVE.length - 2048));
    },
    async ({ url, load }) => {
      assert.equal((await load(url)).code, 0);
      const { code, err } = await load(url);
      assert.equal(code, 0, err);
    },
  ));
