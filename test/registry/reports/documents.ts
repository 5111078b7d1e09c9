/** Reports about manifests, indexes, digests and names. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { bytesOf, resolveText, withClient } from '../client.ts';
import type { ServerRequest } from '../http-server.ts';
import { buildImage, buildIndex, type TestImage } from '../image.ts';
import { digestOfLayer, type Ground, onRegistry, plainImage, type Report, RIGHT } from './kit.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const TYPES = [
  'docker.distribution.manifest.v2',
  'docker.distribution.manifest.list.v2',
  'oci.image.manifest.v1',
  'oci.image.index.v1',
];
const UNKNOWN = JSON.stringify({
  errors: [
    {
      code: 'MANIFEST_UNKNOWN',
      message: 'OCI manifest found, but accept header does not support OCI manifests',
    },
  ],
});

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const accepts =
  (type: string) =>
  ({ headers }: ServerRequest): boolean =>
    (headers.get('accept') ?? '').includes(type);
const textOf = ({ root }: TestImage): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(root.bytes));

/** A document by its sha512, and what names it. */
function bySha512(bytes: Uint8Array): string {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
}

const hasLoopback6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
);

export const DOCUMENTS: readonly Report[] = [
  {
    report: 'sonatype/nexus-public#1070',
    behaviour: 'a proxy (Nexus) cannot give the attestation manifest of an index',
    verdict: RIGHT,
    check: async () => {
      const [image, attestation] = [await plainImage(), await plainImage(9)];
      const index = buildIndex([
        image,
        { ...attestation, platform: { os: 'unknown', architecture: 'unknown' } },
      ]);
      const pushed = { ...index, manifests: [image.root], blobs: image.blobs, layers: image.layers };
      await onRegistry({}, ({ take }) => take(), pushed);
    },
  },
  {
    report: 'NVIDIA/enroot#273',
    behaviour: 'a registry (distribution) has no manifest for a request that accepts `*/*` alone',
    verdict: 'mended in "registry: requests for manifests name the types of manifests"',
    check: () =>
      onRegistry({}, async ({ ref, image, registry }) => {
        const unnamed = (request: ServerRequest): boolean => !accepts(MANIFEST)(request);
        registry.faults.push({ match: '/manifests/', when: unnamed, status: 404, body: UNKNOWN });
        await withClient({}, async (client) => {
          const found = await client.find(parseReference(ref), parseDigest(image.root.digest));
          assert.deepEqual(await bytesOf(await found.fetcher.fetch(found.desc)), image.root.bytes);
        });
      }),
  },
  {
    report: 'cue-labs/oci#22',
    behaviour: 'Docker Hub gives schema 1 to clients that do not accept the type of the manifest',
    verdict: RIGHT,
    check: () =>
      onRegistry({ faults: [{ method: 'HEAD', status: 405 }] }, async ({ ref, registry }) => {
        await resolveText(ref);
        assert.equal(registry.requests.length, 2);
        for (const { headers } of registry.requests) {
          for (const type of TYPES)
            assert.ok(headers.get('accept')?.includes(`application/vnd.${type}+json`), type);
        }
      }),
  },
  {
    report: 'google/go-containerregistry#2427',
    behaviour: 'an image is pinned, and its parts are named, by sha512',
    verdict: RIGHT,
    check: async () => {
      const plain = await plainImage();
      const blobs = new Map([...plain.blobs.values()].map((bytes) => [bySha512(bytes), bytes]));
      const renamed = (desc: { digest: string }) => ({
        ...desc,
        digest: bySha512(plain.blobs.get(desc.digest) ?? assert.fail()),
      });
      const { config, ...more } = textOf(plain);
      const layers = plain.layers.map((layer) => ({ ...layer, ...renamed(layer) }));
      const bytes = encode({ ...more, config: renamed(config as { digest: string }), layers });
      const image = {
        ...plain,
        blobs,
        layers,
        root: { mediaType: MANIFEST, digest: bySha512(bytes), bytes },
      };
      const ground = async ({ registry, take }: Ground): Promise<void> => {
        registry.putManifest('t/a', image.root.digest, MANIFEST, bytes, image.root.digest);
        await take({}, `${registry.host}/t/a@${image.root.digest}`);
      };
      await onRegistry({}, ground, image);
    },
  },
  {
    report: 'podman-container-tools/skopeo#2745',
    behaviour: 'a reference has a tag and a digest',
    verdict: RIGHT,
    check: () =>
      onRegistry({}, async ({ ref, take, image, registry }) => {
        await take({}, `${ref}@${image.root.digest}`);
        assert.ok(
          registry.log().every((line) => !line.includes(':v1') && !line.endsWith('/v1')),
          'the digest alone is asked for',
        );
      }),
  },
  {
    report: 'podman-container-tools/podman#24885',
    behaviour: 'a manifest has more than 4 MiB',
    verdict: RIGHT,
    check: async () => {
      const annotations = { 'io.github.containers.zstd-chunked.manifest': 'x'.repeat(5 << 20) };
      await onRegistry({}, ({ take }) => take(), await plainImage(0, { manifest: { annotations } }));
    },
  },
  {
    report: 'containerd/containerd#3583',
    behaviour: 'a manifest names one layer three times',
    verdict: RIGHT,
    check: async () => {
      const entries = [{ name: 'file', data: 'x' }];
      const image = await buildImage({ layers: [{ entries }, { entries }, { entries }] });
      const ground = async ({ take, registry }: Ground): Promise<void> => {
        await take();
        assert.equal(registry.traffic(digestOfLayer(image)).requests, 1);
      };
      await onRegistry({}, ground, image);
    },
  },
  {
    report: 'moby/moby#27568',
    behaviour: 'a manifest has no `layers`',
    verdict: RIGHT,
    check: async () => {
      const image = await buildImage({ layers: [] });
      const { layers: _, ...without } = textOf(image);
      const bytes = encode(without);
      const ground = async ({ registry, take }: Ground): Promise<void> => {
        registry.putManifest('t/a', 'none', MANIFEST, bytes);
        await take({}, `${registry.host}/t/a:none`);
      };
      await onRegistry({}, ground, image);
    },
  },
  {
    report: 'containerd/containerd#4684',
    behaviour: 'an image has 100 layers: a list of their digests is longer than a label may be',
    verdict: RIGHT,
    check: async () => {
      const layers = Array.from({ length: 100 }, (_, n) => ({
        entries: [{ name: `f${n}`, data: String(n) }],
      }));
      await onRegistry({}, ({ take }) => take(), await buildImage({ layers }));
    },
  },
  {
    report: 'containerd/containerd#12107',
    behaviour: 'one image is pulled from so many repositories that the label with their names is full',
    verdict: RIGHT,
    check: () =>
      onRegistry({}, async ({ registry, image, take }) => {
        for (let n = 0; n < 30; n++) {
          const name = `${'long-name-of-a-repository/'.repeat(8)}${n}`;
          await take({}, registry.push(name, 'v1', image));
        }
      }),
  },
  {
    report: 'docker-java/docker-java#1609',
    behaviour: 'a name of a repository has several dashes in a row',
    verdict: RIGHT,
    check: () =>
      onRegistry({}, ({ registry, image, take }) =>
        take({}, registry.push('eclipse/che--centos--mysql-57-centos7', 'v1', image)),
      ),
  },
  {
    report: 'podman-container-tools/podman#3516',
    behaviour: 'the registry is named by an IPv6 address',
    verdict: RIGHT,
    skip: hasLoopback6 ? false : 'this machine has no ::1',
    check: () =>
      onRegistry({ address: '::1' }, async ({ take, ref }) => {
        assert.match(ref, /^\[::1\]:\d+\//);
        await take();
      }),
  },
];
