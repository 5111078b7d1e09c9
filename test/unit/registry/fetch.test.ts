/** Fetching against the test registry: endpoints, ranges, and bodies that lie. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf, isRetryable } from '../../../src/core/registry/failures.ts';
import { ALL_CAPABILITIES } from '../../../src/core/registry/hosts.ts';
import type { Fetched, Registry } from '../../../src/core/registry/registry.ts';
import { bytesOf, descriptor, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { failure } from '../../support/failure.ts';

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BLOB = noise(100_000, 3);
const desc = descriptor(LAYER, sha256(BLOB), BLOB.length);

interface Ground {
  readonly registry: TestRegistry;
  readonly client: Registry;
  fetch(offset?: number, what?: typeof desc): Promise<Fetched>;
  part(offset: number, end: number): Promise<Fetched>;
}

function check(title: string, faults: readonly Fault[], body: (ground: Ground) => Promise<void>): void {
  test(`fetch: ${title}`, async () => {
    const registry = await startRegistry({ faults });
    registry.putBlob('t/a', desc.digest, BLOB);
    const fetcher = (client: Registry) => client.fetcher(parseReference(`${registry.host}/t/a:x`));
    try {
      await withClient({ limits: { stall: 200 } }, (client) =>
        body({
          registry,
          client,
          fetch: (offset = 0, what = desc) => fetcher(client).fetch(what, { offset }),
          part: (offset, end) => fetcher(client).fetch(desc, { offset, end }),
        }),
      );
    } finally {
      await registry.close();
    }
  });
}

check('a layer is a blob', [], async ({ registry, fetch }) => {
  const got = await fetch();
  assert.equal(got.offset, 0);
  assert.deepEqual(await bytesOf(got), BLOB);
  assert.deepEqual(registry.log(), [`GET /t/a/blobs/${desc.digest}`]);
  const { headers } = registry.requests[0] ?? assert.fail();
  assert.equal(headers.get('accept'), `${LAYER}, */*`);
  assert.equal(headers.get('accept-encoding'), 'identity');
  assert.equal(headers.get('range'), undefined);
});

for (const mediaType of [
  MANIFEST,
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
]) {
  check(`${mediaType} is a manifest`, [], async ({ registry, fetch }) => {
    const bytes = new TextEncoder().encode('{}');
    const digest = registry.putManifest('t/a', 'x', mediaType, bytes);
    assert.deepEqual(await bytesOf(await fetch(0, descriptor(mediaType, digest, 2))), bytes);
    assert.deepEqual(registry.log(), [`GET /t/a/manifests/${digest}`]);
  });
}

check('a descriptor without a type is asked for as anything', [], async ({ registry, fetch }) => {
  await bytesOf(await fetch(0, { ...desc, mediaType: '' }));
  assert.equal(registry.requests[0]?.headers.get('accept'), '*/*');
});

check(
  '5xx on a manifest does not lead to the blobs (H33)',
  [{ status: 503 }],
  async ({ registry, fetch }) => {
    registry.putBlob('t/a', desc.digest, BLOB);
    await failure(fetch(0, descriptor(MANIFEST, desc.digest, BLOB.length)));
    assert.ok(registry.log().length > 0 && registry.log().every((line) => line.includes('/manifests/')));
  },
);

check('from an offset by Range', [], async ({ registry, fetch }) => {
  const got = await fetch(60_000);
  assert.equal(got.offset, 60_000);
  assert.deepEqual(await bytesOf(got), BLOB.subarray(60_000));
  assert.equal(registry.requests[0]?.range, 'bytes=60000-');
});

check('nothing is left to fetch: no request', [], async ({ registry, fetch }) => {
  const got = await fetch(BLOB.length);
  assert.equal(got.offset, BLOB.length);
  assert.equal((await bytesOf(got)).length, 0);
  const empty = await fetch(0, descriptor(LAYER, sha256(new Uint8Array()), 0));
  assert.equal((await bytesOf(empty)).length, 0);
  assert.equal(registry.requests.length, 0);
});

check('beyond the end is OutOfRange', [], async ({ fetch }) => {
  assert.equal(kindOf(await failure(fetch(BLOB.length + 1))), 'OutOfRange');
});

check('200 to a Range starts at 0 (H41)', [{ ignoreRange: true }], async ({ registry, fetch }) => {
  const got = await fetch(60_000);
  assert.equal(got.offset, 0);
  assert.deepEqual(await bytesOf(got), BLOB);
  assert.equal(registry.requests.length, 1);
});

const WRONG: Readonly<Record<string, Fault>> = {
  'another start': { wrongRange: 'bytes 0-39999/100000' },
  'another total': { wrongRange: 'bytes 60000-99999/100001' },
  'an end beyond the blob': { wrongRange: 'bytes 60000-100000/*' },
  'no range': { wrongRange: '' },
  nonsense: { wrongRange: 'bytes sixty-' },
  'multipart/byteranges': { multipart: true },
  '416': { status: 416 },
  '400': { status: 400 },
};
for (const [title, fault] of Object.entries(WRONG)) {
  check(
    `${title} to a Range: asked again for the whole (H41)`,
    [{ ...fault, when: (request) => request.headers.has('range') }],
    async ({ registry, fetch }) => {
      const got = await fetch(60_000);
      assert.equal(got.offset, 0);
      assert.deepEqual(await bytesOf(got), BLOB);
      assert.deepEqual(
        registry.requests.map(({ range }) => range),
        ['bytes=60000-', undefined],
      );
    },
  );
}

check('an unknown total is fine (H41)', [{ wrongRange: 'bytes 60000-99999/*' }], async ({ fetch }) => {
  assert.equal((await fetch(60_000)).offset, 60_000);
});

check(
  '206 without Range is refused (H41)',
  [{ status: 206, body: 'x', headers: { 'Content-Range': 'bytes 5-5/9' } }],
  async (ground) => {
    const err = await failure(ground.fetch());
    assert.equal(codeOf(err), 'WRONG_RANGE');
    assert.equal(isRetryable(err), false);
  },
);

check('an exact part, and nothing else', [], async ({ registry, part }) => {
  const got = await part(10, 20);
  assert.deepEqual(await bytesOf(got), BLOB.subarray(10, 20));
  assert.equal(registry.requests[0]?.range, 'bytes=10-19');
  assert.deepEqual(await bytesOf(await part(0, 5)), BLOB.subarray(0, 5));
});

const PARTLESS: Readonly<Record<string, Fault>> = {
  ...WRONG,
  'everything (200)': { ignoreRange: true },
  'less than asked for': { rangeLimit: 5 },
  'another end': { wrongRange: 'bytes 10-30/100000' },
};
for (const [title, fault] of Object.entries(PARTLESS)) {
  check(
    `${title} for an exact part: NO_RANGE, and the host is not asked for parts again (H41)`,
    [fault],
    async ({ registry, part, fetch }) => {
      for (let times = 0; times < 2; times++) {
        assert.equal(codeOf(await failure(part(10, 20))), 'NO_RANGE');
      }
      assert.equal(registry.requests.length, 1);
      registry.faults.length = 0;
      assert.equal((await fetch(60_000)).offset, 60_000);
    },
  );
}

check('a part that a mirror fails to give is had from the next host', [], async ({ registry }) => {
  const mirror = await startRegistry({
    faults: [{ when: ({ headers }) => headers.has('range'), status: 500 }],
  });
  mirror.putBlob('t/a', desc.digest, BLOB);
  const host = ({ url, host }: TestRegistry) => ({
    name: host,
    base: new URL(`${url}/v2`),
    capabilities: ALL_CAPABILITIES,
  });
  const hosts = async () => ({ source: 'test', hosts: [host(mirror), host(registry)] });
  await withClient({ hosts }, async (client) => {
    const fetcher = client.fetcher(parseReference(`${registry.host}/t/a:x`));
    const got = await fetcher.fetch(desc, { offset: 10, end: 20 });
    assert.deepEqual(await bytesOf(got), BLOB.subarray(10, 20));
    assert.deepEqual([mirror.requests.length, registry.requests.length], [1, 1]);
  });
  await mirror.close();
});

check(
  'If-Range is sent to the host that gave the validator; other content there is CHANGED (H42)',
  [],
  async ({ registry, client }) => {
    const fetcher = client.fetcher(parseReference(`${registry.host}/t/a:x`));
    const first = await fetcher.fetch(desc);
    await first.body.cancel();
    const { host = '', etag = '' } = first;
    assert.match(etag, /^"/);
    const validator = { host, etag };
    assert.equal((await fetcher.fetch(desc, { offset: 60_000, validator })).offset, 60_000);
    assert.equal(registry.requests[1]?.headers.get('if-range'), etag);
    registry.faults.push({ changed: true });
    const err = await failure(fetcher.fetch(desc, { offset: 60_000, validator }));
    assert.equal(codeOf(err), 'CHANGED');
    assert.equal(kindOf(err), 'DataLoss');
    const elsewhere = { host: 'https://other/v2', etag };
    assert.equal((await fetcher.fetch(desc, { offset: 60_000, validator: elsewhere })).offset, 60_000);
    assert.equal(registry.requests.at(-1)?.headers.get('if-range'), undefined);
  },
);

check('a cut body may be tried again (H12, H40)', [{ cutAfter: 50_000 }], async ({ fetch }) => {
  const err = await failure(bytesOf(await fetch()));
  assert.equal(codeOf(err), 'UNEXPECTED_END');
  assert.equal(isRetryable(err), true);
});

check('a stalled body may be tried again (H12)', [{ stall: 50_000 }], async ({ fetch }) => {
  const err = await failure(bytesOf(await fetch()));
  assert.equal(kindOf(err), 'DeadlineExceeded');
  assert.equal(isRetryable(err), true);
});

check(
  'short, long and damaged bodies are passed on for the ingest to judge (H40)',
  [{ short: 10, times: 1 }, { overlong: 5, times: 1 }, { corrupt: 0 }],
  async ({ fetch }) => {
    assert.equal((await bytesOf(await fetch())).length, 10);
    assert.equal((await bytesOf(await fetch())).length, BLOB.length + 5);
    assert.notDeepEqual(await bytesOf(await fetch()), BLOB);
  },
);

check('404 names the descriptor', [], async ({ fetch }) => {
  const missing = descriptor(LAYER, sha256(noise(3)), 3);
  const err = await failure(fetch(0, missing));
  assert.equal(kindOf(err), 'NotFound');
  assert.equal(
    err.message,
    `could not fetch content descriptor ${missing.digest} (${LAYER}) from remote: not found`,
  );
});

check('what the registry lacks: hints that are true of each', [], async ({ fetch }) => {
  const digest = sha256(noise(3));
  const lacking = async (mediaType: string, urls?: readonly string[]) =>
    await failure(fetch(0, { ...descriptor(mediaType, digest, 3), ...(urls === undefined ? {} : { urls }) }));
  const plain = await lacking(LAYER);
  assert.match(hintOf(plain) ?? '', /a mirror that lags, or a push that did not end/);
  assert.doesNotMatch(hintOf(plain) ?? '', /pushed again/);
  const foreign = await lacking('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', [
    'https://m.test/l?sig=s',
  ]);
  assert.match(
    foreign.message,
    /a foreign layer, which its author keeps at https:\/\/m\.test\/l\?sig=REDACTED$/,
  );
  assert.match(hintOf(foreign) ?? '', /--foreign-urls/);
  const old = await lacking('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
  assert.match(old.message, /not found; a foreign layer$/);
  assert.match(hintOf(old) ?? '', /the image does not say where/);
});

check('503 may be tried again, 403 not', [{ status: 503, times: 1 }, { status: 403 }], async ({ fetch }) => {
  assert.equal(isRetryable(await failure(fetch())), true);
  const err = await failure(fetch());
  assert.equal(kindOf(err), 'PermissionDenied');
  assert.equal(isRetryable(err), false);
});

check('urls of a descriptor are not asked unless allowed (H1)', [], async ({ registry, client }) => {
  const other = await startRegistry();
  const fetcher = client.fetcher(parseReference(`${registry.host}/t/a:x`));
  const got = await fetcher.fetch({ ...desc, urls: [`${other.url}/evil`] });
  assert.deepEqual(await bytesOf(got), BLOB);
  assert.equal(other.requests.length, 0);
  await other.close();
});

check('an aborted fetch ends', [{ hang: true }], async ({ registry, client }) => {
  const stop = new AbortController();
  const pending = client
    .fetcher(parseReference(`${registry.host}/t/a:x`))
    .fetch(desc, { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  assert.equal(kindOf(await failure(pending)), 'Canceled');
});
