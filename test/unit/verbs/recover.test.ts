/** How much `recover` adopts: every image of a large store, and none of an image that no fetch would take. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { HawserError } from '../../../src/core/errors.ts';
import { MAX_NODES } from '../../../src/core/images/dispatch.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { type Digest, parseDigest } from '../../../src/core/oci/digest.ts';
import type { StoreDeps } from '../../../src/core/verbs/options.ts';
import { recoverImages } from '../../../src/core/verbs/recover.ts';

const OCI = 'application/vnd.oci';

function digestOf(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

/** A store that has all bytes but of those in `absent`, and no records. */
class LostStore {
  readonly documents = new Map<string, Uint8Array>();
  readonly absent = new Set<string>();
  readonly adopted = new Set<string>();
  readonly recorded: string[] = [];

  document(mediaType: string, value: object): Descriptor {
    const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...value }));
    const digest = digestOf(bytes);
    this.documents.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  manifest(name: string, count: number): Descriptor {
    const blob = (n: number) => ({
      mediaType: 'application/octet-stream+x',
      digest: digestOf(`${name} ${n}`),
      size: 1,
    });
    const [config, ...layers] = Array.from({ length: count }, (_, n) => blob(n));
    return this.document(`${OCI}.image.manifest.v1+json`, { config, layers });
  }

  get deps(): StoreDeps {
    const content = {
      ingest: async (_: string, { digest }: Descriptor) => {
        if (this.absent.has(digest)) return { [Symbol.asyncDispose]: async () => {} };
        this.adopted.add(digest);
        throw new HawserError('AlreadyExists', digest);
      },
      abort: async () => {},
      label: async () => {},
      info: async (digest: Digest) => {
        if (!this.adopted.has(digest)) throw new HawserError('NotFound', digest);
        return { digest, size: this.documents.get(digest)?.length ?? 1, labels: {} };
      },
      open: async (digest: Digest) => {
        const bytes = this.documents.get(digest);
        if (bytes === undefined) throw new HawserError('NotFound', digest);
        return new Blob([bytes.slice()]).stream();
      },
    };
    const images = {
      get: async (name: string) => {
        throw new HawserError('NotFound', name);
      },
      put: async (name: string) => {
        this.recorded.push(name);
        return { name, labels: {} };
      },
    };
    const leases = { create: async () => ({ id: 'l' }), delete: async () => {}, resources: async () => [] };
    const hostPlatform = { os: 'linux', architecture: 'amd64' };
    return { backend: { content, images, leases }, hostPlatform } as unknown as StoreDeps;
  }
}

test('every image of a large store is recovered whole; one that has too much is left out, and that is said', async () => {
  const store = new LostStore();
  const index = (...manifests: readonly Descriptor[]) =>
    store.document(`${OCI}.image.index.v1+json`, { manifests });
  const halves = ['x', 'y'].map((name) => store.manifest(name, MAX_NODES / 2 + 1));
  // What an index lists and the store has not does not count.
  const absent = Array.from({ length: MAX_NODES / 2 - 1 }, (_, n) => {
    const digest = digestOf(`absent ${n}`);
    store.absent.add(digest);
    return { mediaType: `${OCI}.image.manifest.v1+json`, digest, size: 7 };
  });
  const lost = [
    { name: 'r.test/sparse:1', target: index(...absent, ...halves.slice(0, 1)) },
    ...halves.map((target, n) => ({ name: `r.test/half:${n}`, target })),
    { name: 'r.test/large:1', target: index(...halves) },
  ];
  const { skipped, blobs, unjudged } = await recoverImages(store.deps, lost, {});
  assert.deepEqual(unjudged, ['r.test/sparse:1']);
  assert.deepEqual(
    store.recorded,
    ['r.test/sparse:1', 'r.test/half:0', 'r.test/half:1'],
    JSON.stringify(skipped),
  );
  assert.deepEqual(
    skipped.map(({ name }) => name),
    ['r.test/large:1'],
  );
  assert.match(skipped[0]?.why ?? '', /more than 20000 parts/);
  assert.equal(blobs, 2 * (MAX_NODES / 2 + 2) + 2);
});
