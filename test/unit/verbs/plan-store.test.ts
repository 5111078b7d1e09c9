import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDeps } from '../../../src/core/download/stream-blob.ts';
import { HawserError, hintOf, isKind } from '../../../src/core/errors.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';
import { MAX_CONFIG_BYTES } from '../../../src/core/oci/documents.ts';
import { OCI_MANIFEST } from '../../../src/core/oci/media-types.ts';
import { PlanStore } from '../../../src/core/verbs/plan-store.ts';
import { failure } from '../../support/failure.ts';

const absent = async (): Promise<never> => Promise.reject(new HawserError('NotFound', 'not there'));

const manifest = (n: number, size: number): Descriptor => ({
  mediaType: OCI_MANIFEST,
  digest: makeDigest('sha256', n.toString(16).padStart(64, '0')),
  size,
});

test('documents that are too large, one or all together, are refused before they are fetched, by what is too large', async () => {
  const asked: string[] = [];
  const fetcher = {
    fetch: async ({ digest }: Descriptor) => {
      asked.push(digest);
      return await absent();
    },
  };
  const plan = new PlanStore({ info: absent, open: absent }, {
    fetcher,
    hashers: { create: () => ({ update: () => {}, digest: () => '' }) },
    clock: { monotonic: () => 0, now: () => 0, sleep: async () => {} },
    report: () => {},
  } as unknown as StreamDeps);
  const refused = async (desc: Descriptor, says: RegExp) => {
    const err = await failure(plan.bring(desc, {}));
    assert.match(err.message, says);
    assert.ok(isKind(err, 'ResourceExhausted'));
    assert.equal(hintOf(err), 'An honest image is far smaller: ask its publisher');
  };
  const first = manifest(0, MAX_CONFIG_BYTES + 1);
  await refused(
    first,
    new RegExp(`^Cannot read ${first.digest}: 8388609 bytes, more than the 8388608 allowed$`),
  );
  assert.deepEqual(asked, []);
  for (let n = 1; n <= 16; n++)
    assert.ok(isKind(await failure(plan.bring(manifest(n, MAX_CONFIG_BYTES), {})), 'NotFound'));
  assert.equal(asked.length, 16);
  const more = manifest(17, MAX_CONFIG_BYTES);
  await refused(
    more,
    /^Cannot read the documents of the image: 142606336 bytes, more than the 134217728 allowed$/,
  );
  assert.equal(asked.length, 16);
});
