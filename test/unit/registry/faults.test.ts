/** The fault registry itself, seen by a client that takes everything as it comes: each fault is what it says. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { AuthMode } from '../../registry/auth.ts';
import { randomFaults, seeded } from '../../registry/chaos.ts';
import type { Fault } from '../../registry/faults.ts';
import { concat } from '../../registry/http-server.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../../registry/registry.ts';

const BLOB = noise(10_000, 5);
const DIGEST = sha256(BLOB);
const PATH = `/v2/t/a/blobs/${DIGEST}`;

interface Seen {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
  /** The body ended as its headers say. */
  readonly whole: boolean;
}

function get(registry: TestRegistry, path: string, headers: Record<string, string> = {}): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asked = request(`${registry.url}${path}`, { headers, agent: false }, (answer) => {
      const parts: Uint8Array[] = [];
      answer.on('data', (part: Uint8Array) => parts.push(part));
      answer.on('error', () => {});
      answer.on('close', () => {
        const { statusCode: status = 0, complete: whole } = answer;
        resolve({ status, headers: answer.headers, body: concat(parts), whole });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

async function seen(fault: Fault, headers: Record<string, string> = {}): Promise<Seen> {
  const registry = await startRegistry({ faults: [fault] });
  try {
    registry.putBlob('t/a', DIGEST, BLOB);
    return await get(registry, PATH, headers);
  } finally {
    await registry.close();
  }
}

const RANGE = { range: 'bytes=4000-' };

const CASES: readonly [string, Fault, Record<string, string>, (answer: Seen) => void][] = [
  ['none', {}, {}, ({ body, headers }) => assert.deepEqual([body, headers.etag], [BLOB, `"${DIGEST}"`])],
  [
    'cutAfter',
    { cutAfter: 300 },
    {},
    ({ body, whole }) => assert.deepEqual([body.length, whole], [300, false]),
  ],
  ['short', { short: 300 }, {}, ({ body, whole }) => assert.deepEqual([body.length, whole], [300, true])],
  [
    'overlong',
    { overlong: 7 },
    {},
    ({ body, whole }) => assert.deepEqual([body.length, whole], [10_007, true]),
  ],
  [
    'changed',
    { changed: true },
    {},
    ({ body, headers }) => assert.deepEqual([(body[0] ?? 0) ^ 0xff, headers.etag], [BLOB[0], '"changed"']),
  ],
  [
    'corrupt',
    { corrupt: 2 },
    {},
    ({ body }) =>
      assert.deepEqual(
        [...body.entries()].filter(([i, byte]) => byte !== BLOB[i]).map(([i]) => i),
        [2],
      ),
  ],
  ['rate', { rate: 1e6 }, {}, ({ body }) => assert.deepEqual(body, BLOB)],
  ['dribble', { dribble: { bytes: 5000, interval: 1 } }, {}, ({ body }) => assert.deepEqual(body, BLOB)],
  [
    'chunked',
    { chunked: true },
    {},
    ({ body, headers }) => assert.deepEqual([body, headers['content-length']], [BLOB, undefined]),
  ],
  [
    'noContentLength',
    { noContentLength: true },
    {},
    ({ body, headers }) => assert.deepEqual([body, headers['content-length']], [BLOB, undefined]),
  ],
  [
    'contentEncoding',
    { contentEncoding: 'gzip' },
    {},
    ({ body, headers }) =>
      assert.deepEqual([new Uint8Array(gunzipSync(body)), headers['content-encoding']], [BLOB, 'gzip']),
  ],
  [
    'retryAfter',
    { status: 429, retryAfter: 3 },
    {},
    ({ status, headers }) => assert.deepEqual([status, headers['retry-after']], [429, '3']),
  ],
  [
    'redirect',
    { redirect: 'http://x.test{target}', redirectStatus: 302 },
    {},
    ({ status, headers }) => assert.deepEqual([status, headers.location], [302, `http://x.test${PATH}`]),
  ],
  ['interim', { interim: 3 }, {}, ({ status, body }) => assert.deepEqual([status, body], [200, BLOB])],
  [
    'headerBytes',
    { headerBytes: 2500 },
    {},
    ({ headers }) => assert.equal(headers['x-padding-2']?.length, 500),
  ],
  [
    'a range',
    {},
    { range: 'bytes=4000-4999' },
    ({ status, body }) => assert.deepEqual([status, body], [206, BLOB.subarray(4000, 5000)]),
  ],
  [
    'a range beyond the end',
    {},
    { range: 'bytes=10000-' },
    ({ status, headers }) => assert.deepEqual([status, headers['content-range']], [416, 'bytes */10000']),
  ],
  [
    'If-Range that holds',
    {},
    { ...RANGE, 'if-range': `"${DIGEST}"` },
    ({ status }) => assert.equal(status, 206),
  ],
  [
    'If-Range that does not',
    {},
    { ...RANGE, 'if-range': '"other"' },
    ({ status, body }) => assert.deepEqual([status, body], [200, BLOB]),
  ],
  [
    'If-Range of what has changed',
    { changed: true },
    { ...RANGE, 'if-range': `"${DIGEST}"` },
    ({ status, body }) => assert.deepEqual([status, body.length], [200, BLOB.length]),
  ],
  [
    'ignoreRange',
    { ignoreRange: true },
    RANGE,
    ({ status, body }) => assert.deepEqual([status, body], [200, BLOB]),
  ],
  [
    'wrongRange',
    { wrongRange: 'bytes 1-2/3' },
    RANGE,
    ({ headers, body }) =>
      assert.deepEqual([headers['content-range'], body], ['bytes 1-2/3', BLOB.subarray(4000)]),
  ],
  [
    'shiftRange',
    { shiftRange: 10 },
    RANGE,
    ({ headers, body }) =>
      assert.deepEqual(
        [headers['content-range'], body],
        ['bytes 4000-9999/10000', BLOB.subarray(3990, 9990)],
      ),
  ],
  [
    'rangeLimit',
    { rangeLimit: 100 },
    RANGE,
    ({ headers, body }) =>
      assert.deepEqual([headers['content-range'], body.length], ['bytes 4000-4099/10000', 100]),
  ],
  [
    'multipart',
    { multipart: true },
    RANGE,
    ({ headers }) => assert.match(headers['content-type'] ?? '', /^multipart/),
  ],
];

for (const [name, fault, headers, check] of CASES) {
  test(`fault registry: ${name}`, async () => check(await seen(fault, headers)));
}

test('fault registry: no answer is an error of the connection', async () => {
  await assert.rejects(seen({ reset: true }));
});

test('fault registry: skip and times; what a cut leaves alone does not count; faults come and go', async () => {
  const registry = await startRegistry({ faults: [{ match: '/blobs/', skip: 1, times: 1, status: 503 }] });
  try {
    registry.putBlob('t/a', DIGEST, BLOB);
    registry.putBlob('t/a', 'sha256:tiny', BLOB.subarray(0, 5));
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await get(registry, PATH)).status);
    assert.deepEqual(statuses, [200, 503, 200]);
    registry.faults.push({ match: '/blobs/', cutAfter: 100, times: 1 });
    assert.equal((await get(registry, '/v2/t/a/blobs/sha256:tiny')).whole, true);
    assert.equal((await get(registry, PATH)).whole, false);
    assert.equal((await get(registry, PATH)).whole, true);
    assert.deepEqual(registry.traffic(DIGEST), { requests: 5, bytes: 3 * BLOB.length + 100 });
    assert.deepEqual(registry.traffic(), { requests: 6, bytes: 3 * BLOB.length + 105 });
  } finally {
    await registry.close();
  }
});

async function withGate(auth: AuthMode, body: (registry: TestRegistry) => Promise<void>): Promise<void> {
  const registry = await startRegistry({ auth });
  try {
    registry.putBlob('t/a', DIGEST, BLOB);
    await body(registry);
  } finally {
    await registry.close();
  }
}

test('fault registry: a token opens one repository and wears out', async () => {
  await withGate({ mode: 'bearer', uses: 1, alsoBasic: true, user: 'u', pass: 'p' }, async (registry) => {
    const refused = await get(registry, PATH);
    assert.equal(refused.status, 401);
    assert.match(
      refused.headers['www-authenticate'] ?? '',
      /^Bearer realm="[^"]+\/token".*, Basic realm="test"$/,
    );
    const basic = { authorization: `Basic ${btoa('u:p')}` };
    assert.equal((await get(registry, PATH, basic)).status, 200);
    const given = await get(registry, '/token?scope=repository:t/a:pull', basic);
    const authorization = `Bearer ${JSON.parse(new TextDecoder().decode(given.body)).token}`;
    assert.equal((await get(registry, PATH.replace('t/a', 't/b'), { authorization })).status, 401);
    assert.equal((await get(registry, PATH, { authorization })).status, 200);
    assert.equal((await get(registry, PATH, { authorization })).status, 401);
  });
});

test('fault registry: denied, and a token server that fails', async () => {
  await withGate({ mode: 'denied' }, async (registry) => {
    assert.equal((await get(registry, PATH)).status, 403);
    assert.equal((await get(registry, '/v2/')).status, 403);
  });
  await withGate({ mode: 'bearer', tokenStatus: 503 }, async (registry) => {
    assert.equal((await get(registry, '/token')).status, 503);
  });
});

test('fault registry: another API root', async () => {
  const registry = await startRegistry({ apiRoot: '/mirror/v9' });
  try {
    registry.putBlob('t/a', DIGEST, BLOB);
    assert.equal((await get(registry, PATH)).status, 404);
    assert.deepEqual((await get(registry, PATH.replace('/v2', '/mirror/v9'))).body, BLOB);
    assert.equal(registry.log()[1], `GET /t/a/blobs/${DIGEST}`);
  } finally {
    await registry.close();
  }
});

test('chaos: the same seed gives the same faults, and those that heal have an end', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const faults = randomFaults(seeded(seed), { size: 1000, heal: true });
    assert.deepEqual(faults, randomFaults(seeded(seed), { size: 1000, heal: true }));
    assert.ok(
      faults.every(({ times, cutAfter = 0 }) => times !== undefined && times <= 2 && cutAfter < 1000),
    );
  }
  const all = Array.from({ length: 20 }, (_, i) => randomFaults(seeded(i), { size: 9, heal: false })).flat();
  assert.ok(all.some(({ corrupt }) => corrupt !== undefined));
  assert.ok(all.some(({ times }) => times === undefined));
});
