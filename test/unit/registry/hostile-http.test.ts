/** Answers that break HTTP, or never end: each ends within its limits, in success or in an error that names it (H12). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf } from '../../../src/core/registry/failures.ts';
import type { Registry } from '../../../src/core/registry/registry.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { bytesOf, descriptor, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { serve } from '../../registry/http-server.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry } from '../../registry/registry.ts';

const BLOB = noise(5000, 2);
const DESC: Descriptor = descriptor('application/vnd.oci.image.layer.v1.tar', sha256(BLOB), BLOB.length);
const LIMITS = { connect: 500, headers: 500, stall: 500, minSpeed: 0 };
/** Milliseconds: limits that are kept are far from it. Timers of an HTTP client may be a second late. */
const BOUND = 15_000;

/** The bytes of the blob by one fetch, bounded. */
async function fetchOnce(client: Registry, host: string): Promise<Uint8Array> {
  const fetcher = client.fetcher(parseReference(`${host}/t/a:x`));
  const signal = AbortSignal.timeout(BOUND);
  return await bytesOf(await fetcher.fetch(DESC, { signal }));
}

const FAULTS: Readonly<Record<string, readonly [Fault, RegExp]>> = {
  'a megabyte of headers': [{ headerBytes: 1_000_000 }, /^(HEADERS_OVERFLOW|HTTP_PROTOCOL)$/],
  'a bare CR in a header': [{ raw: 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n{}' }, /./],
  'a NUL in a header': [{ raw: 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}' }, /./],
  'two lengths': [{ raw: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}' }, /./],
  'a chunk that is longer than it says': [
    { raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n' },
    /./,
  ],
  'a chunk of a huge size': [
    { raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nab' },
    /./,
  ],
  'a chunk of no size': [{ raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab' }, /./],
  'a chunked body that just ends': [
    { raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n' },
    /^UNEXPECTED_END$/,
  ],
  'no HTTP at all': [{ raw: 'SSH-2.0-OpenSSH_9.2\r\n' }, /./],
  'no answer': [{ hang: true }, /^HEADERS_TIMEOUT$/],
  'no first byte': [{ stall: 0 }, /^STALLED$/],
  'a body that stops': [{ stall: 100 }, /^STALLED$/],
};
for (const [title, [fault, code]] of Object.entries(FAULTS)) {
  test(`${title} (H12)`, async () => {
    const registry = await startRegistry({ faults: [fault] });
    registry.putBlob('t/a', DESC.digest, BLOB);
    try {
      await withClient({ limits: LIMITS, clock: createClock() }, async (client) => {
        const err = await fetchOnce(client, registry.host).catch((reason: unknown) => reason);
        assert.ok(isKind(err, 'Unavailable', 'DeadlineExceeded'), String(err));
        assert.match(String(codeOf(err)), code, String(err));
        registry.faults.length = 0;
        assert.deepEqual(await fetchOnce(client, registry.host), BLOB, 'the client goes on working');
      });
    } finally {
      await registry.close();
    }
  });
}

test('a flood of 1xx answers ends in the answer (H12)', async () => {
  const registry = await startRegistry({ faults: [{ interim: 200 }] });
  registry.putBlob('t/a', DESC.digest, BLOB);
  try {
    await withClient({ limits: LIMITS, clock: createClock() }, async (client) => {
      assert.deepEqual(await fetchOnce(client, registry.host), BLOB);
    });
  } finally {
    await registry.close();
  }
});

/** A server that writes `next()` every few milliseconds for ever. */
async function endless(head: string, next: string): Promise<{ host: string; close(): Promise<void> }> {
  const server = await serve(async (_request, wire) => {
    for (let alive = await wire.write(head); alive; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      alive = await wire.write(next);
    }
  });
  return { host: `127.0.0.1:${server.port}`, close: server.close };
}

const ENDLESS: Readonly<Record<string, readonly [string, string, RegExp]>> = {
  'headers that never end': ['HTTP/1.1 200 OK\r\n', 'X-Y: z\r\n', /^HEADERS_TIMEOUT$/],
  'a header that comes byte by byte': ['HTTP/1.1 200 OK\r\nX: ', 'y', /^HEADERS_TIMEOUT$/],
  '1xx answers that never end': ['', 'HTTP/1.1 103 Early Hints\r\n\r\n', /^HEADERS_TIMEOUT$/],
  'a body that comes byte by byte': ['HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n', 'y', /^TOO_SLOW$/],
};
for (const [title, [head, next, code]] of Object.entries(ENDLESS)) {
  test(`${title} (H12)`, async () => {
    const server = await endless(head, next);
    try {
      const limits = { ...LIMITS, minSpeed: 1000, window: 300 };
      await withClient({ limits, clock: createClock() }, async (client) => {
        const err = await fetchOnce(client, server.host).catch((reason: unknown) => reason);
        assert.ok(isKind(err, 'DeadlineExceeded'), String(err));
        assert.match(String(codeOf(err)), code, String(err));
      });
    } finally {
      await server.close();
    }
  });
}

test('an answer that nobody asked for is not taken for the next one (H12)', async () => {
  const evil = `HTTP/1.1 200 OK\r\nContent-Length: ${BLOB.length}\r\n\r\n${'e'.repeat(BLOB.length)}`;
  const server = await serve(async (_request, wire) => {
    await wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BLOB.length}\r\n\r\n`);
    await wire.write(BLOB);
    await wire.write(evil);
  });
  try {
    await withClient({ limits: LIMITS, clock: createClock(), connections: 1 }, async (client) => {
      for (let n = 0; n < 5; n++) {
        const got = await fetchOnce(client, `127.0.0.1:${server.port}`).catch((reason: unknown) => reason);
        if (got instanceof Uint8Array) assert.deepEqual(got, BLOB);
        else assert.ok(isKind(got, 'Unavailable'), String(got));
      }
    });
  } finally {
    await server.close();
  }
});
