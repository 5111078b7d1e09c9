/** Where an image is fetched from again: by its name, another name, or the labels of its blob. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InfoProvider, Labels } from '../../../src/core/content/content-store.ts';
import { HawserError } from '../../../src/core/errors.ts';
import { imageSource } from '../../../src/core/images/image-source.ts';
import type { Image } from '../../../src/core/images/image-store.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';

const digests = [1, 2].map((n) => parseDigest(`sha256:${String(n).repeat(64)}`));

function named(name: string, digest = digests[0]): Image {
  assert.ok(digest);
  const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1 };
  return { name, target, labels: {}, createdAt: 0, updatedAt: 0 };
}

const content = (labels?: Labels): InfoProvider => ({
  info: async (digest) => {
    if (labels === undefined) throw new HawserError('NotFound', 'no blob');
    return { digest, size: 1, createdAt: 0, updatedAt: 0, labels };
  },
});

const LABEL = { 'containerd.io/distribution.source.r.test': 'UPPER,a/b' };
const ID = `sha256:${'3'.repeat(64)}`;

for (const [title, names, labels, want] of [
  ['a full name', ['r.test/x:1', 'r.test/y:1'], LABEL, 'r.test/x:1'],
  ['an ID, beside a full name', [ID, 'r.test/y:1'], LABEL, 'r.test/y:1'],
  ['an ID alone', [ID], LABEL, `r.test/a/b@${digests[0]}`],
  ['a short name', ['alpine'], LABEL, `r.test/a/b@${digests[0]}`],
  ['no reference', ['A b!'], LABEL, `r.test/a/b@${digests[0]}`],
  ['an ID, and no labels', [ID], {}, undefined],
  ['an ID of a blob that is gone', [ID], undefined, undefined],
] as const) {
  test(`the source of ${title}`, async () => {
    const images = [named('r.test/other:1', digests[1]), ...names.map((name) => named(name))];
    const found = await imageSource(content(labels), named(names[0]), images, {});
    assert.equal(found?.name, want);
  });
}
