/** What `serve` remembers of what the policy has let in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/core/oci/media-types.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { Admissions } from '../../../src/core/verbs/admissions.ts';

const numbered = (n: number) => parseDigest(`sha256:${n.toString(16).padStart(64, '0')}`);
const index = { mediaType: OCI_INDEX, digest: numbered(0), size: 1 };

test('an index that lists as much as is remembered makes no other image forgotten', async () => {
  const registry = { evidence: () => ({}) } as never;
  const admissions = new Admissions({ backend: {}, registry }, {}, () => {});
  const [small, large] = ['reg.test/small:1', 'reg.test/large:1'].map((name) => parseReference(name));
  assert.ok(small !== undefined && large !== undefined);
  await admissions.admit(small, { ...index, mediaType: OCI_MANIFEST }, {});
  await admissions.admit(large, index, {});
  const children = Array.from({ length: 20_000 }, (_, n) => ({
    mediaType: OCI_MANIFEST,
    digest: numbered(n + 1),
    size: 1,
  }));
  admissions.admitChildren(large, index, children);
  assert.equal(await admissions.has(large, numbered(20_000), {}), true);
  assert.equal(await admissions.has(small, index.digest, {}), true);
  assert.equal(await admissions.has(large, numbered(20_001), {}), false);
});
