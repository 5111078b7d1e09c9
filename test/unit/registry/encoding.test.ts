/** Content-Encoding that nobody asked for (spec/remote.md 5.2): undone, refused, and never taken for a part. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf, isRetryable } from '../../../src/core/registry/failures.ts';
import type { Fetched } from '../../../src/core/registry/registry.ts';
import { bytesOf, descriptor, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { noise } from '../../registry/image.ts';
import { sha256, startRegistry } from '../../registry/registry.ts';
import { failure } from '../../support/failure.ts';

const BLOB = noise(100_000, 3);
const DESC = descriptor('application/vnd.oci.image.layer.v1.tar', sha256(BLOB), BLOB.length);

type Fetch = (offset?: number) => Promise<Fetched>;

function check(title: string, faults: readonly Fault[], body: (fetch: Fetch) => Promise<void>): void {
  test(`encoding: ${title}`, async () => {
    const registry = await startRegistry({ faults });
    registry.putBlob('t/a', DESC.digest, BLOB);
    const reference = parseReference(`${registry.host}/t/a:x`);
    try {
      await withClient({}, (client) =>
        body((offset = 0) => client.fetcher(reference).fetch(DESC, { offset })),
      );
    } finally {
      await registry.close();
    }
  });
}

const DECODED: readonly Fault[] = [
  { contentEncoding: 'gzip' },
  { contentEncoding: 'deflate' },
  { contentEncoding: 'deflate', bareDeflate: true },
  { contentEncoding: 'zstd' },
  { contentEncoding: 'gzip, zstd' },
  { contentEncoding: 'zstd, identity, gzip, deflate' },
];
for (const offset of [0, 60_000]) {
  for (const fault of DECODED) {
    check(
      `${JSON.stringify(fault)} nobody asked for is undone, and never a part (offset ${offset}) (H41)`,
      [fault],
      async (fetch) => {
        const got = await fetch(offset);
        assert.equal(got.offset, 0);
        assert.deepEqual(await bytesOf(got), BLOB);
      },
    );
  }

  for (const contentEncoding of ['br', 'gzip, br', 'gzip, gzip, gzip, gzip', 'constructor']) {
    check(
      `Content-Encoding ${contentEncoding} is refused (offset ${offset}) (H41)`,
      [{ contentEncoding }],
      async (fetch) => {
        const err = await failure(fetch(offset));
        assert.equal(kindOf(err), 'Unavailable');
        assert.equal(codeOf(err), 'CONTENT_ENCODING');
        const said = `unsupported content encoding ${JSON.stringify(contentEncoding)}`;
        assert.ok(err.message.includes(said), err.message);
      },
    );
  }
}

for (const field of ['gzip', 'deflate', 'zstd', 'zstd, gzip']) {
  const faults = [{ headers: { 'Content-Encoding': field } }];
  check(`an encoding that is none: ${field} (H41)`, faults, async (fetch) => {
    const err = await failure(bytesOf(await fetch()));
    assert.equal(codeOf(err), 'CONTENT_ENCODING', String(err));
  });
}

const ENDLESS = zstdCompressSync(new Uint8Array(5 << 20));
check(
  'stacked encodings may not expand in between beyond a limit (H22)',
  [{ body: gzipSync(ENDLESS), headers: { 'Content-Encoding': 'gzip, zstd, gzip' } }],
  async (fetch) => {
    const err = await failure(bytesOf(await fetch()));
    assert.match(err.message, /more than 265536 bytes for 100000 bytes of content/);
    assert.equal(isRetryable(err), false);
  },
);

check(
  'an encoded body that is cut may be tried again',
  [{ contentEncoding: 'zstd', cutAfter: 50_000 }],
  async (fetch) => {
    const err = await failure(bytesOf(await fetch()));
    assert.equal(codeOf(err), 'UNEXPECTED_END');
  },
);

check(
  'Content-Encoding identity is fine',
  [{ headers: { 'Content-Encoding': 'identity' } }],
  async (fetch) => {
    assert.deepEqual(await bytesOf(await fetch()), BLOB);
  },
);
