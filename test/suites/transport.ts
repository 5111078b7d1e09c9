/** What every Transport does (src/core/ports/transport.ts), against a server that breaks the rules. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { findError, HawserError, kindOf } from '../../src/core/errors.ts';
import type {
  HttpRequest,
  HttpResponse,
  TransportOptions,
  Transports,
} from '../../src/core/ports/transport.ts';
import { codeOf } from '../../src/core/registry/failures.ts';
import type { TestCerts } from '../registry/certs.ts';
import type { Fault } from '../registry/faults.ts';
import { noise } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from '../support/exec.ts';
import { type HttpProxy, startProxy } from '../support/http-proxy.ts';
import { tempDir } from '../support/tmp.ts';

const BLOB = noise(300_000, 7);
/** A certificate for nobody here. */
const OTHER_CA = rootCertificates[0] ?? '';
const PROBE = fileURLToPath(new URL('../support/transport-probe.ts', import.meta.url));
const DIGEST = `sha256:${'a'.repeat(64)}`;

interface Ground {
  readonly registry: TestRegistry;
  readonly url: URL;
  send(request?: Partial<HttpRequest>): Promise<HttpResponse>;
}

/** `skip` maps titles to the reason why the implementation cannot do it. */
export function transportSuite(
  name: string,
  make: () => Transports,
  certs: () => TestCerts | undefined,
  skip: Readonly<Record<string, string>> = {},
): void {
  let proxy: HttpProxy | undefined;
  type Setup = { server?: RegistryOptions; client?: TransportOptions; faults?: Fault[] };
  const check = (title: string, setup: Setup, body: (ground: Ground) => Promise<void>): void => {
    test(`transport/${name}: ${title}`, { skip: skip[title] ?? false }, async () => {
      const registry = await startRegistry({ ...setup.server, faults: setup.faults ?? [] });
      registry.putBlob('r', DIGEST, BLOB);
      const url = new URL(`${registry.url}/v2/r/blobs/${DIGEST}`);
      const transport = make().open(setup.client);
      try {
        await body({
          registry,
          url,
          send: (request) => transport.send({ method: 'GET', url, headers: {}, ...request }),
        });
      } finally {
        await transport[Symbol.asyncDispose]();
        await registry.close();
      }
    });
  };

  check('GET gives status, headers and body', {}, async ({ send, url }) => {
    const response = await send();
    assert.equal(response.status, 200);
    assert.equal(response.url.href, url.href);
    assert.equal(response.headers.get('Docker-Content-Digest'), DIGEST);
    assert.deepEqual(await read(response), BLOB);
  });

  check('sends the headers given and asks for identity', {}, async ({ send, registry }) => {
    await read(await send({ headers: { Accept: 'a/b', 'User-Agent': 'me/1', Range: 'bytes=299998-' } }));
    const { headers } = registry.requests[0] ?? assert.fail('no request');
    assert.equal(headers.get('accept'), 'a/b');
    assert.equal(headers.get('user-agent'), 'me/1');
    assert.equal(headers.get('range'), 'bytes=299998-');
    assert.equal(headers.get('accept-encoding'), 'identity');
    assert.equal(headers.get('sec-fetch-mode'), undefined);
  });

  check('HEAD has no body and keeps its Content-Length', {}, async ({ send }) => {
    const response = await send({ method: 'HEAD' });
    assert.equal(response.headers.get('content-length'), String(BLOB.length));
    assert.equal((await read(response)).length, 0);
  });

  check('POST sends its body', {}, async ({ send, registry }) => {
    const body = new TextEncoder().encode('a=1');
    await read(await send({ method: 'POST', url: new URL(`${registry.url}/token`), body }));
    assert.equal(registry.requests[0]?.body, 'a=1');
  });

  /** A body of these pieces, which says to have `length` bytes. */
  const source = (
    pieces: readonly Uint8Array[],
    length = pieces.reduce((sum, one) => sum + one.length, 0),
  ) => ({
    length,
    async *open() {
      yield* pieces;
    },
  });

  for (const method of ['PUT', 'PATCH', 'POST'] as const)
    check(
      `${method}: a body that is read meanwhile goes out with its length`,
      {},
      async ({ send, registry }) => {
        const pieces = [BLOB.subarray(0, 200_000), new Uint8Array(), BLOB.subarray(200_000)];
        for (let times = 0; times < 2; times++) await read(await send({ method, body: source(pieces) }));
        for (const request of registry.requests) {
          assert.equal(request.headers.get('content-length'), String(BLOB.length));
          assert.equal(request.headers.get('transfer-encoding'), undefined);
          assert.equal(request.received, BLOB.length);
        }
        assert.equal(registry.requests.length, 2);
      },
    );

  check(
    'the error of a body is that of the exchange, and the server never has the whole',
    {},
    async (ground) => {
      const failure = new HawserError('DataLoss', 'rotten');
      const body = {
        length: BLOB.length,
        async *open() {
          yield BLOB.subarray(0, BLOB.length - 1);
          throw failure;
        },
      };
      await assert.rejects(ground.send({ method: 'PUT', body }), (err) => err === failure);
      assert.equal(ground.registry.requests.length, 0);
    },
  );

  check('a body of another length ends the exchange', {}, async ({ send, registry }) => {
    for (const length of [BLOB.length - 1, BLOB.length + 1])
      await assert.rejects(send({ method: 'PUT', body: source([BLOB], length) }));
    assert.ok(registry.requests.every(({ received }) => received < BLOB.length));
  });

  check(
    'a body that is not taken is DeadlineExceeded',
    { client: { stallTimeout: 300 }, faults: [{ method: 'PUT', stallRequest: true }] },
    async ({ send }) => {
      const many = Array.from({ length: 300 }, () => BLOB);
      await assert.rejects(send({ method: 'PUT', body: source(many) }), (err) => {
        assert.deepEqual([kindOf(err), codeOf(err)], ['DeadlineExceeded', 'STALLED']);
        return true;
      });
    },
  );

  check(
    'an abort ends the sending',
    { faults: [{ method: 'PUT', stallRequest: true }] },
    async ({ send }) => {
      const many = Array.from({ length: 300 }, () => BLOB);
      const signal = AbortSignal.timeout(200);
      await assert.rejects(
        send({ method: 'PUT', body: source(many), signal }),
        (err) => err === signal.reason,
      );
    },
  );

  check('an answer before the end of a body ends the sending', {}, async ({ send, registry }) => {
    registry.faults.push({ method: 'PUT', answerAt: 100_000 }, { method: 'PUT', status: 413 });
    const many = Array.from({ length: 100 }, () => BLOB);
    const response = await send({ method: 'PUT', body: source(many) });
    assert.equal(response.status, 413);
    await read(response);
  });

  check('no status is an error', { faults: [{ status: 503, body: 'no' }] }, async ({ send }) => {
    const response = await send();
    assert.equal(response.status, 503);
    assert.equal(new TextDecoder().decode(await read(response)), 'no');
  });

  check('follows no redirect', { faults: [{ redirect: '/elsewhere' }] }, async ({ send, registry }) => {
    const response = await send();
    assert.equal(response.status, 307);
    assert.equal(response.headers.get('location'), '/elsewhere');
    await read(response);
    assert.equal(registry.requests.length, 1);
  });

  check('joins several fields of one name', authLines(), async ({ send }) => {
    const response = await send();
    assert.equal(response.headers.get('www-authenticate'), 'Basic realm="a", Bearer realm="b"');
    await read(response);
  });

  check('decodes no content encoding', { faults: [{ contentEncoding: 'gzip' }] }, async ({ send }) => {
    const response = await send();
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    assert.deepEqual((await read(response)).subarray(0, 2), new Uint8Array([0x1f, 0x8b]));
  });

  check('uses a connection again', {}, async ({ send, registry }) => {
    for (let i = 0; i < 8; i++) await read(await send());
    assert.ok(registry.connections() <= 2, `${registry.connections()} connections`);
  });

  check('keeps to the number of connections', { client: { connections: 2 } }, async ({ send, registry }) => {
    const bodies = await Promise.all(Array.from({ length: 6 }, async () => await read(await send())));
    assert.ok(bodies.every((body) => body.length === BLOB.length));
    assert.equal(registry.connections(), 2);
  });

  check('reads a chunked body', { faults: [{ chunked: true }] }, async ({ send }) => {
    assert.deepEqual(await read(await send()), BLOB);
  });

  check(
    'reads a body that ends with the connection',
    { faults: [{ noContentLength: true }] },
    async (ground) => {
      assert.deepEqual(await read(await ground.send()), BLOB);
    },
  );

  check('a refused connection is Unavailable', {}, async ({ send }) => {
    const url = new URL(`http://127.0.0.1:${await freePort()}/`);
    await fails(send({ url }), 'Unavailable', ['ECONNREFUSED']);
  });

  check('an unknown name is Unavailable', {}, async ({ send }) => {
    await fails(send({ url: new URL('http://nowhere.invalid/') }), 'Unavailable', ['ENOTFOUND', 'EAI_AGAIN']);
  });

  check('a reset before the answer is Unavailable', { faults: [{ reset: true }] }, async ({ send }) => {
    await fails(send(), 'Unavailable', ['ECONNRESET', 'UNEXPECTED_END', 'EPIPE']);
  });

  check('an end before the answer is Unavailable', { faults: [{ raw: '' }] }, async ({ send }) => {
    await fails(send(), 'Unavailable', ['UNEXPECTED_END', 'ECONNRESET']);
  });

  check(
    'a reset in the body is Unavailable',
    { faults: [{ cutAfter: 100_000, reset: true }] },
    async ({ send }) => {
      const response = await send();
      await fails(read(response), 'Unavailable', ['ECONNRESET', 'UNEXPECTED_END']);
    },
  );

  check(
    'a body shorter than Content-Length is UNEXPECTED_END',
    { faults: [{ cutAfter: 100_000 }] },
    async (ground) => {
      await fails(read(await ground.send()), 'Unavailable', ['UNEXPECTED_END']);
    },
  );

  check(
    'a chunked body without its end is UNEXPECTED_END',
    { faults: [{ chunked: true, cutAfter: 70_000 }] },
    async (ground) => {
      await fails(read(await ground.send()), 'Unavailable', ['UNEXPECTED_END']);
    },
  );

  check(
    'bytes beyond Content-Length are not given',
    { faults: [{ headers: { 'Content-Length': '1000' } }] },
    async (ground) => {
      const response = await ground.send();
      assert.equal((await read(response).catch(() => new Uint8Array(1000))).length, 1000);
    },
  );

  check(
    'what is not HTTP is Unavailable',
    { faults: [{ raw: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' }] },
    async ({ send }) => {
      await fails(send(), 'Unavailable', ['HTTP_PROTOCOL', 'UNEXPECTED_END']);
    },
  );

  check(
    'a control character in a header is refused',
    { faults: [{ raw: 'HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n' }] },
    async (ground) => {
      await fails(ground.send(), 'Unavailable', ['HTTP_PROTOCOL']);
    },
  );

  const huge = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1 << 20)}\r\nContent-Length: 0\r\n\r\n`;
  check('a megabyte of headers is refused', { faults: [{ raw: huge }] }, async ({ send }) => {
    await fails(send(), 'Unavailable', ['HEADERS_OVERFLOW']);
  });

  const patience = { connectTimeout: 50, headersTimeout: 100, stallTimeout: 150 };
  check(
    'no answer in time is DeadlineExceeded',
    { faults: [{ hang: true }], client: patience },
    async ({ send }) => {
      await fails(send(), 'DeadlineExceeded', ['HEADERS_TIMEOUT']);
    },
  );

  check(
    'a body that stalls is DeadlineExceeded',
    { faults: [{ stall: 1000 }], client: patience },
    async ({ send }) => {
      const response = await send();
      await fails(read(response), 'DeadlineExceeded', ['STALLED']);
    },
  );

  const dribble = { faults: [{ dribble: { bytes: 60_000, interval: 60 } }], client: patience };
  check('a slow body that goes on is none', dribble, async ({ send }) => {
    assert.deepEqual(await read(await send()), BLOB);
  });

  // As long as the library lets a caller say.
  const century = 100 * 365.25 * 86_400_000;
  const patient = { connectTimeout: century, headersTimeout: century, stallTimeout: century };
  check('limits longer than a timer are no short ones', { ...dribble, client: patient }, async ({ send }) => {
    assert.deepEqual(await read(await send()), BLOB);
  });

  check('a slow reader is no stall', { client: patience }, async ({ send }) => {
    const reader = (await send()).body.getReader();
    let length = (await reader.read()).value?.length ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 400));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
    }
    assert.equal(length, BLOB.length);
  });

  check('an aborted signal sends nothing', {}, async ({ send, registry }) => {
    const reason = new Error('changed my mind');
    await assert.rejects(send({ signal: AbortSignal.abort(reason) }), (err) => err === reason);
    assert.equal(registry.requests.length, 0);
  });

  check('an abort ends the wait for the answer', { faults: [{ hang: true }] }, async ({ send, registry }) => {
    const stop = new AbortController();
    const pending = send({ signal: stop.signal });
    while (registry.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    await assert.rejects(pending, (err) => kindOf(err) === 'Canceled');
  });

  check(
    'an abort ends the wait for a connection',
    { faults: [{ hang: true }], client: { connections: 1 } },
    async ({ send, registry }) => {
      const [stop, first] = [new AbortController(), new AbortController()];
      const busy = send({ signal: first.signal });
      const pending = send({ signal: stop.signal });
      stop.abort();
      await assert.rejects(pending, (err) => kindOf(err) === 'Canceled');
      first.abort();
      await assert.rejects(busy, (err) => kindOf(err) === 'Canceled');
      assert.ok(registry.requests.length <= 1);
    },
  );

  check('an abort ends the body', { faults: [{ stall: 1000 }] }, async ({ send }) => {
    const stop = new AbortController();
    const response = await send({ signal: stop.signal });
    const pending = read(response);
    stop.abort();
    await assert.rejects(pending, (err) => kindOf(err) === 'Canceled');
  });

  check(
    'a cancelled body gives its connection back',
    { faults: [{ stall: 1000, times: 1 }], client: { connections: 1 } },
    async ({ send }) => {
      await (await send()).body.cancel();
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  check('messages leave the query out', { faults: [{ reset: true }] }, async ({ send, url }) => {
    const signed = new URL(`${url.href}?sig=hunter2`);
    await assert.rejects(send({ url: signed }), (err: Error) => !String(err.message).includes('hunter2'));
  });

  const secure = (
    title: string,
    body: (certs: TestCerts) => Setup,
    run: (ground: Ground) => Promise<void>,
  ): void => {
    const made = certs();
    if (made === undefined) test(`transport/${name}: ${title}`, { skip: 'needs openssl' }, () => {});
    else check(title, body(made), run);
  };
  const server = ({ key, cert }: TestCerts): RegistryOptions => ({ tls: { key, cert } });

  secure(
    'TLS with a private CA',
    (made) => ({ server: server(made), client: { ca: made.ca } }),
    async ({ send }) => {
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  secure(
    'a CA that is trusted besides the others',
    (made) => ({ server: server(made), client: { extraCa: made.ca } }),
    async ({ send }) => {
      assert.deepEqual(await read(await send()), BLOB);
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  secure(
    'a CA given takes the place of the others, and another may be trusted besides it',
    (made) => ({ server: server(made), client: { ca: OTHER_CA, extraCa: made.ca } }),
    async ({ send }) => {
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  secure(
    'TLS through a proxy',
    (made) => ({
      server: server(made),
      client: { extraCa: made.ca, proxy: () => new URL(proxy?.url ?? '') },
    }),
    async ({ registry, send }) => {
      proxy = await startProxy({ ports: { 'registry.test': registry.port } });
      try {
        assert.deepEqual(
          await read(await send({ url: new URL(`https://registry.test/v2/r/blobs/${DIGEST}`) })),
          BLOB,
        );
        assert.deepEqual(proxy.log, ['CONNECT registry.test:443']);
      } finally {
        await proxy.close();
      }
    },
  );

  secure(
    'TLS with an unknown CA is refused',
    (made) => ({ server: server(made) }),
    async ({ send, registry }) => {
      await fails(send(), 'Unavailable', ['TLS']);
      assert.equal(registry.requests.length, 0);
    },
  );

  // `extraCa` trusts the CA without another transport in the place of Deno's fetch.
  for (const [what, setup, hint] of [
    ['an unknown CA', (made) => ({ server: server(made) }), /--tlscacert/],
    [
      'a certificate that signed itself',
      ({ ca, caKey }) => ({ server: { tls: { key: caKey, cert: ca } } }),
      /--tlscacert/,
    ],
    [
      'a certificate that has expired',
      ({ ca, key, expiredCert }) => ({
        server: { tls: { key, cert: expiredCert } },
        client: { extraCa: ca },
      }),
      /^The certificate is not valid now/,
    ],
    [
      'a certificate for another name',
      ({ ca, key, otherNameCert }) => ({
        server: { tls: { key, cert: otherNameCert } },
        client: { extraCa: ca },
      }),
      /^The certificate is for other names/,
    ],
  ] as const satisfies [string, (made: TestCerts) => Setup, RegExp][]) {
    secure(`the hint for ${what}`, setup, async ({ send, registry }) => {
      const err = await send().then(() => assert.fail('answered'), findError);
      assert.equal(codeOf(err), 'TLS', String(err));
      assert.match(err?.hint ?? '', hint, String(err));
      assert.equal(registry.requests.length, 0);
    });
  }

  for (const [through, proxy] of [
    ['the transport without options', undefined],
    ['undici', () => undefined],
  ] as const) {
    secure(
      `NODE_TLS_REJECT_UNAUTHORIZED=0 does not act: ${through}`,
      (made) => ({ server: server(made), client: { proxy } }),
      async ({ send, registry }) => {
        process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
        try {
          await fails(send(), 'Unavailable', ['TLS']);
          assert.equal(registry.requests.length, 0);
        } finally {
          delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
        }
      },
    );
  }

  secure(
    'NODE_EXTRA_CA_CERTS does not act',
    (made) => ({ server: server(made) }),
    async ({ url, registry }) => {
      const dir = tempDir('hawser-extra-ca-');
      try {
        const file = join(dir.path, 'ca.pem');
        writeFileSync(file, certs()?.ca ?? '');
        const run = 'Deno' in globalThis ? ['run', '-A', '--no-check', PROBE] : [PROBE];
        const env = { ...process.env, NODE_EXTRA_CA_CERTS: file, NODE_NO_WARNINGS: '1' };
        const { stdout } = await execOk(process.execPath, [...run, url.href, name], { env });
        assert.equal(stdout, 'TLS\n');
      } finally {
        dir[Symbol.dispose]();
      }
      assert.equal(registry.requests.length, 0);
    },
  );

  secure(
    'skipVerify takes any certificate',
    (made) => ({ server: server(made), client: { skipVerify: true } }),
    async ({ send }) => {
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  secure(
    'a client certificate',
    (made) => ({
      server: { tls: { key: made.key, cert: made.cert, clientCa: made.ca } },
      client: { ca: made.ca, cert: made.clientCert, key: made.clientKey },
    }),
    async ({ send }) => {
      assert.deepEqual(await read(await send()), BLOB);
    },
  );

  check('TLS to a server without it says so', {}, async ({ send }) => {
    const plain = await plainServer('HTTP/1.0 400 Bad Request\r\n\r\n');
    const url = new URL(`https://127.0.0.1:${plain.port}/`);
    const err = await send({ url }).then(() => assert.fail('answered'), findError);
    await plain.close();
    assert.equal(codeOf(err), 'TLS', String(err));
    assert.match(err?.hint ?? '', /--plain-http/);
  });

  const closes = 'TLS to a server that closes says so, if the server answers in plain HTTP';
  test(`transport/${name}: ${closes}`, { skip: skip[closes] ?? false }, async () => {
    const plain = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        if (bytes[0] === 0x16) socket.destroy();
        else socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
      });
    });
    const port = await listen(plain);
    const transport = make().open();
    const url = new URL(`https://127.0.0.1:${port}/`);
    const err = await transport
      .send({ method: 'GET', url, headers: {} })
      .then(() => assert.fail(), findError);
    await transport[Symbol.asyncDispose]();
    await new Promise((resolve) => plain.close(resolve));
    assert.equal(codeOf(err), 'TLS', String(err));
    assert.match(err?.hint ?? '', /--plain-http/);
  });

  secure(
    'plain HTTP to a TLS server says so',
    (made) => ({ server: server(made) }),
    async ({ send, url }) => {
      const plain = new URL(url.href.replace('https:', 'http:'));
      const err = await send({ url: plain }).then(() => assert.fail('answered'), findError);
      assert.equal(codeOf(err), 'TLS', String(err));
      assert.match(err?.message ?? '', /the server speaks TLS on this port/);
      assert.match(err?.hint ?? '', /--tlscacert/);
    },
  );

  check('a connection that is lost again and again is not called a wrong protocol', {}, async ({ send }) => {
    const closing = createServer((socket) => socket.destroy());
    const port = await listen(closing);
    try {
      for (const scheme of ['http', 'https']) {
        const url = new URL(`${scheme}://127.0.0.1:${port}/`);
        await fails(send({ url }), 'Unavailable', ['UNEXPECTED_END', 'ECONNRESET', 'CONNECT_RESET', 'EPIPE']);
      }
    } finally {
      await new Promise((resolve) => closing.close(resolve));
    }
  });

  for (const name of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
    const asked: string[] = [];
    check(
      `an address that is not allowed is not connected to: ${name}`,
      {
        client: {
          allowAddress: (address) => {
            asked.push(address);
            return false;
          },
        },
      },
      async ({ send, registry, url }) => {
        const other = new URL(url);
        other.hostname = name;
        await fails(send({ url: other }), 'FailedPrecondition', ['ADDRESS_REFUSED']);
        assert.equal(registry.requests.length, 0);
        assert.ok(asked.length > 0);
      },
    );
  }

  for (const scheme of ['http', 'https']) {
    test(`transport/${name}: a name whose address is refused meanwhile is not asked in the other protocol: ${scheme}`, async () => {
      let connections = 0;
      const closing = createServer((socket) => {
        connections++;
        socket.once('data', () => socket.destroy());
      });
      const port = await listen(closing);
      // As when the name is given another address after the request went out.
      let isAllowed = true;
      const allowAddress = (address: string): boolean => {
        const allowed = isAllowed && address === '127.0.0.1';
        if (allowed) isAllowed = false;
        return allowed;
      };
      const transport = make().open({ allowAddress });
      try {
        const url = new URL(`${scheme}://localhost:${port}/`);
        const codes = ['UNEXPECTED_END', 'ECONNRESET', 'CONNECT_RESET', 'EPIPE'];
        await fails(transport.send({ method: 'GET', url, headers: {} }), 'Unavailable', codes);
        assert.equal(connections, 1);
      } finally {
        await transport[Symbol.asyncDispose]();
        await new Promise((resolve) => closing.close(resolve));
      }
    });
  }

  check(
    'an address that is allowed is connected to',
    { client: { allowAddress: () => true } },
    async (ground) => {
      assert.deepEqual(await read(await ground.send()), BLOB);
      const named = new URL(ground.url);
      named.hostname = 'localhost';
      assert.deepEqual(await read(await ground.send({ url: named })), BLOB);
    },
  );

  for (const [title, head] of Object.entries({
    'two equal lengths': 'Content-Length: 2\r\nContent-Length: 2',
    'two lengths': 'Content-Length: 2\r\nContent-Length: 3',
    'a length and chunks': 'Content-Length: 2\r\nTransfer-Encoding: chunked',
  })) {
    check(`a malformed answer is no lost connection: ${title}`, {}, async ({ send }) => {
      const odd = await plainServer(`HTTP/1.1 200 OK\r\n${head}\r\n\r\nok`);
      const err = await send({ url: new URL(`http://127.0.0.1:${odd.port}/`) })
        .then(read)
        .then(() => undefined, findError);
      await odd.close();
      assert.equal(codeOf(err), 'HTTP_PROTOCOL', String(err));
    });
  }

  check('status 000 is a malformed answer, told without an assertion', {}, async ({ send }) => {
    const odd = await plainServer('HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok');
    const err = await send({ url: new URL(`http://127.0.0.1:${odd.port}/`) }).then(
      () => assert.fail(),
      findError,
    );
    await odd.close();
    assert.equal(codeOf(err), 'HTTP_PROTOCOL', String(err));
    assert.doesNotMatch(String(err), /assert|falsy/);
  });

  function authLines(): Setup {
    const challenge = ['Basic realm="a"', 'Bearer realm="b"'];
    return { server: { auth: { mode: 'bearer', challenge } } };
  }
}

async function read(response: HttpResponse): Promise<Uint8Array> {
  return new Uint8Array(
    await new Response(response.body as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer(),
  );
}

async function fails(work: Promise<unknown>, kind: string, codes: readonly string[]): Promise<void> {
  const err = await work.then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  assert.equal(kindOf(err), kind, String(err));
  const code = codeOf(err);
  assert.ok(codes.includes(String(code)), `${String(code)} is none of ${codes.join(', ')}: ${String(err)}`);
}

async function freePort(): Promise<number> {
  const server = await plainServer('');
  await server.close();
  return server.port;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

/** Answers any bytes with these, and hangs up. */
async function plainServer(answer: string): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}
