/** The server port over node:http: bodies at the client's speed, cut when they fail; clients that are slow, too many, or gone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { kindOf, messageOf } from '../../../../src/core/errors.ts';
import type {
  HttpServer,
  HttpServerOptions,
  RequestHandler,
} from '../../../../src/core/ports/http-server.ts';
import { createHttpServers } from '../../../../src/platform/http/server.ts';
import { makeCerts } from '../../../registry/certs.ts';

const OPTIONS: HttpServerOptions = {
  address: '127.0.0.1',
  port: 0,
  maxConnections: 100,
  headersTimeout: 5000,
  stallTimeout: 5000,
};

async function withServer(
  handler: RequestHandler,
  body: (server: HttpServer) => Promise<void>,
  options: Partial<HttpServerOptions> = {},
): Promise<void> {
  const server = await createHttpServers().listen({ ...OPTIONS, ...options }, handler);
  try {
    await body(server);
  } finally {
    await server.close(0);
  }
}

const hello: RequestHandler = async () => ({
  status: 200,
  headers: { 'content-length': '5', 'content-type': 'text/plain' },
  body: new TextEncoder().encode('hello'),
});

/** Waits for the end of a connection, whether by an error or not, at most `limit` milliseconds. */
async function closed(socket: Socket, limit: number): Promise<void> {
  const end = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  await Promise.race([end, sleep(limit, undefined, { ref: false })]);
}

/** Sends bytes as they are, and returns what came until the connection ended. */
async function raw(port: number, text: string, limit = 10_000): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  socket.on('data', (bytes) => {
    got += bytes.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  await closed(socket, limit);
  socket.destroy();
  return got;
}

const GET = 'GET /x HTTP/1.1\r\nHost: h\r\n';

/** A stream of `length` bytes that notes how many were asked for. */
function zeros(length: number, onBytes: (sum: number) => void = () => {}, failAt = Number.POSITIVE_INFINITY) {
  let sum = 0;
  let canceled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(out) {
        if (sum >= failAt) throw new Error('rotten');
        if (sum >= length) return out.close();
        const piece = Math.min(100_000, length - sum);
        sum += piece;
        onBytes(sum);
        out.enqueue(new Uint8Array(piece));
      },
      cancel() {
        canceled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, wasCanceled: () => canceled };
}

test('requests and answers: method, target, headers in any case and of several lines; HEAD has no body', async () => {
  const seen: string[] = [];
  const handler: RequestHandler = async (request) => {
    seen.push(
      `${request.method} ${request.target} ${request.headers.get('Accept')} ${request.headers.get('x')}`,
    );
    assert.match(request.peer, /127\.0\.0\.1$/);
    return await hello(request);
  };
  await withServer(handler, async ({ port }) => {
    const get = await raw(port, `${GET}accept: a\r\nAccept: b\r\nConnection: close\r\n\r\n`);
    assert.match(get, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(get, /\r\n\r\nhello$/);
    const head = await raw(port, 'HEAD /v2/?a=%20b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    assert.match(head, /content-length: 5\r\n/i);
    assert.match(head, /\r\n\r\n$/);
  });
  assert.deepEqual(seen, ['GET /x a, b null', 'HEAD /v2/?a=%20b null null']);
});

test('a body whose stream fails is cut: the client gets fewer bytes than the length says', async () => {
  const handler: RequestHandler = async () => ({
    status: 200,
    headers: { 'content-length': '1000000' },
    body: zeros(1_000_000, () => {}, 900_000).stream,
  });
  await withServer(handler, async ({ port }) => {
    const got = await raw(port, `${GET}\r\n`);
    const body = got.slice(got.indexOf('\r\n\r\n') + 4);
    assert.ok(body.length < 1_000_000, String(body.length));
    await assert.rejects(fetch(`http://127.0.0.1:${port}/`).then((response) => response.arrayBuffer()));
  });
});

test('a handler that throws is answered with 500', async () => {
  const handler: RequestHandler = async () => {
    throw new Error('secret');
  };
  await withServer(handler, async ({ port }) => {
    const got = await raw(port, `${GET}\r\n`);
    assert.match(got, /^HTTP\/1\.1 500 /);
    assert.doesNotMatch(got, /secret/);
  });
});

test('the stream is read as fast as the client reads, and cancelled when the client takes nothing, or leaves', async () => {
  let read = 0;
  const length = 200_000_000;
  let source = zeros(length, (sum) => {
    read = sum;
  });
  const handler: RequestHandler = async () => ({
    status: 200,
    headers: { 'content-length': String(length) },
    body: source.stream,
  });
  await withServer(
    handler,
    async ({ port }) => {
      const stuck = connect(port, '127.0.0.1');
      stuck.on('error', () => {});
      stuck.pause();
      stuck.write(`${GET}\r\n`);
      await sleep(300);
      assert.ok(read > 0 && read < 40_000_000, `${read} bytes were read for a client that takes none`);
      await until(() => source.wasCanceled());
      stuck.destroy();
      source = zeros(length);
      const leaving = connect(port, '127.0.0.1');
      leaving.on('error', () => {});
      leaving.write(`${GET}\r\n`);
      await once(leaving, 'data');
      leaving.destroy();
      await until(() => source.wasCanceled());
    },
    { stallTimeout: 700 },
  );
});

async function until(holds: () => boolean, limit = 8000): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < limit, 'it did not happen in time');
    await sleep(20);
  }
}

test('a request has the signal of its client', async () => {
  let signal: AbortSignal | undefined;
  const handler: RequestHandler = async (request) => {
    signal = request.signal;
    await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => resolve()));
    throw request.signal.reason;
  };
  await withServer(handler, async ({ port }) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(`${GET}\r\n`);
    await until(() => signal !== undefined);
    socket.destroy();
    await until(() => signal?.aborted === true);
    assert.equal(kindOf(signal?.reason), 'Canceled');
  });
});

test('requests that come at once on a connection are answered in turn, however long the second takes', async () => {
  const handler: RequestHandler = async (request) => {
    if (request.target === '/2') await sleep(900);
    return await hello(request);
  };
  await withServer(
    handler,
    async ({ port }) => {
      const second = 'GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
      const got = await raw(port, `${GET}\r\n${second}`);
      assert.equal(got.match(/hello/g)?.length, 2);
    },
    { headersTimeout: 400 },
  );
});

test('requests that come at once on a connection run one at a time; with too many of them it is closed', async () => {
  let running = 0;
  let most = 0;
  let began = 0;
  const handler: RequestHandler = async (request) => {
    began++;
    most = Math.max(most, ++running);
    await sleep(5);
    running--;
    return await hello(request);
  };
  await withServer(handler, async ({ port }) => {
    const last = `${GET}Connection: close\r\n\r\n`;
    assert.equal((await raw(port, `${GET}\r\n`.repeat(20) + last)).match(/hello/g)?.length, 21);
    assert.deepEqual([most, began], [1, 21]);
    const got = await raw(port, `${GET}\r\n`.repeat(1000) + last);
    assert.equal(most, 1);
    assert.ok(began < 100 && (got.match(/hello/g)?.length ?? 0) < 80, `${began} were begun`);
    assert.match(await raw(port, last), /200 OK/);
  });
});

test('a second request does not cut the first answer, however long that one takes', async () => {
  const length = 8 * 1024 * 1024;
  const handler: RequestHandler = async () => ({
    status: 200,
    headers: { 'content-length': String(length) },
    body: zeros(length).stream,
  });
  await withServer(
    handler,
    async ({ port }) => {
      const socket = connect(port, '127.0.0.1');
      let got = 0;
      socket.on('error', () => {});
      // Reads 1.5 s long, and never less than once in 150 ms.
      socket.on('data', (bytes) => {
        got += bytes.length;
        if (got > length) return;
        socket.pause();
        setTimeout(() => socket.resume(), (1500 * bytes.length) / length);
      });
      socket.write(`${GET}\r\n${GET}Connection: close\r\n\r\n`);
      await closed(socket, 8000);
      socket.destroy();
      assert.ok(got > 2 * length, `${got} bytes`);
    },
    { stallTimeout: 600 },
  );
});

test('HA17: slow loris: headers that come slowly, none at all, and connections that idle are closed', async () => {
  await withServer(
    hello,
    async ({ port }) => {
      for (const text of ['', 'GET / HTTP/1.1\r\nHost: h\r\nX: ', `${GET}\r\n`]) {
        const began = performance.now();
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {}).on('data', () => {});
        if (text !== '') socket.write(text);
        const drip = setInterval(() => text !== '' && !text.endsWith('\r\n') && socket.write('a'), 50);
        await closed(socket, 6000);
        clearInterval(drip);
        assert.ok(performance.now() - began < 4000, JSON.stringify(text));
        socket.destroy();
      }
    },
    { headersTimeout: 600 },
  );
});

test('HA17: too many connections are closed, the others go on', async () => {
  await withServer(
    hello,
    async ({ port }) => {
      const held: Socket[] = [];
      for (let n = 0; n < 2; n++) {
        const socket = connect(port, '127.0.0.1');
        held.push(socket);
        await once(socket, 'connect');
      }
      await sleep(50);
      assert.equal(await raw(port, `${GET}\r\n`, 3000), '');
      held[0]?.write(`${GET}\r\n`);
      const [bytes] = await once(held[0] as Socket, 'data');
      assert.match(String(bytes), /200 OK/);
      for (const socket of held) socket.destroy();
      await until(() => held.every(({ destroyed }) => destroyed));
      await sleep(50);
      assert.match(await raw(port, `${GET}Connection: close\r\n\r\n`), /200 OK/);
    },
    { maxConnections: 2 },
  );
});

test('HA17: no HTTP, headers without end, two lengths: refused, and the server goes on', async () => {
  await withServer(hello, async ({ port }) => {
    for (const text of [
      'nonsense\r\n\r\n',
      `${GET}${'x: y\r\n'.repeat(20_000)}\r\n`,
      `${GET}${'Accept: a/b\r\n'.repeat(100_000)}\r\n`,
      `${GET}Range: bytes=${'0-1,'.repeat(10_000)}5-\r\n\r\n`,
      `${GET}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`,
      `${GET}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ]) {
      const got = await raw(port, text, 5000);
      assert.ok(got === '' || /^HTTP\/1\.1 4\d\d /.test(got), got.slice(0, 100));
    }
    assert.match(await raw(port, `${GET}Connection: close\r\n\r\n`), /200 OK/);
  });
});

test('HA17: a body that comes with a request is not taken for the next one', async () => {
  let requests = 0;
  const handler: RequestHandler = async (request) => {
    requests++;
    return await hello(request);
  };
  await withServer(handler, async ({ port }) => {
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
    const got = await raw(
      port,
      `POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      4000,
    );
    assert.equal(requests, 1);
    assert.match(got, /connection: close/i);
  });
});

test('closing: an answer on its way may end; after the grace it is cut; nothing new is taken', async () => {
  for (const grace of [5000, 300]) {
    let free: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      free = resolve;
    });
    let begun = false;
    const handler: RequestHandler = async () => {
      begun = true;
      await gate;
      return await hello({} as never);
    };
    const server = await createHttpServers().listen(OPTIONS, handler);
    const answer = raw(server.port, `${GET}\r\n`);
    await until(() => begun);
    const began = performance.now();
    const closing = server.close(grace);
    await sleep(50);
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/`));
    if (grace === 5000) free();
    await closing;
    assert.ok(performance.now() - began < 3000);
    assert.equal(/hello$/.test(await answer), grace === 5000);
    free();
  }
});

test('an address that is in use is said', async () => {
  await withServer(hello, async ({ port }) => {
    await assert.rejects(createHttpServers().listen({ ...OPTIONS, port }, hello), (err) => {
      assert.match(messageOf(err), new RegExp(`Cannot listen at 127.0.0.1, port ${port}`));
      return kindOf(err) === 'FailedPrecondition';
    });
  });
});

test('TLS, and certificates of clients; a key that does not fit is said', async () => {
  const certs = makeCerts();
  const tls = { cert: certs.cert, key: certs.key, clientCa: certs.ca };
  await assert.rejects(
    createHttpServers().listen({ ...OPTIONS, tls: { cert: tls.cert, key: 'no key' } }, hello),
    (err) => kindOf(err) === 'InvalidArgument',
  );
  const go = async (port: number, client: object): Promise<string> => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: certs.ca, servername: 'localhost', ...client });
    let got = '';
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.write(`${GET}Connection: close\r\n\r\n`);
    await closed(socket, 5000);
    socket.destroy();
    return got;
  };
  await withServer(
    hello,
    async ({ port }) => {
      const { clientCert: cert, clientKey: key } = certs;
      assert.match(await go(port, { cert, key }), /hello$/);
      assert.doesNotMatch(await go(port, {}), /hello/);
    },
    { tls },
  );
});
