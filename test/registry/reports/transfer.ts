/** Reports about redirects, bodies and ranges. */
import assert from 'node:assert/strict';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { bytesOf, withClient } from '../client.ts';
import type { Fault } from '../faults.ts';
import { buildImage } from '../image.ts';
import {
  beside,
  certs,
  digestOfLayer,
  type Ground,
  onRegistry,
  plainImage,
  type Report,
  RIGHT,
  says,
} from './kit.ts';

const LARGE = 300_000;
const XML = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidRange</Code></Error>';

/** The pull of one layer of 300 kB goes through although the registry has these faults. */
function through(...faults: readonly Fault[]): () => Promise<void> {
  return async () => await onRegistry({ faults }, ({ take }) => take(), await plainImage(LARGE));
}

export const TRANSFER: readonly Report[] = [
  {
    report: 'oras-project/oras-dotnet#423',
    behaviour: 'blobs are redirected by a relative Location',
    verdict: RIGHT,
    check: () => {
      const unsigned = ({ target }: { readonly target: string }): boolean => !target.includes('signed');
      return onRegistry(
        { faults: [{ match: '/blobs/', when: unsigned, redirect: '?signed=1' }] },
        async ({ take, registry }) => {
          await take();
          assert.ok(registry.log().some((line) => line.endsWith('?signed=1')));
        },
      );
    },
  },
  {
    report: 'moby/moby#50065',
    behaviour: 'HEAD and GET are redirected to storage whose signed address is good for GET only',
    verdict: RIGHT,
    check: () =>
      beside({ faults: [{ method: 'HEAD', status: 403, body: XML }] }, (storage) =>
        onRegistry({ faults: [{ redirect: `${storage.url}{target}` }] }, async ({ take, image }) => {
          storage.push('t/a', 'v1', image);
          await take();
        }),
      ),
  },
  {
    report: 'containerd/stargz-snapshotter#167',
    behaviour: 'the signed address of a blob has expired when a lost download is continued',
    verdict: RIGHT,
    check: async () => {
      const image = await plainImage(LARGE);
      const match = digestOfLayer(image);
      const faults = [{ match: 'sig=1', cutAfter: 100_000 }];
      await beside({ faults }, async (storage) => {
        storage.push('t/a', 'v1', image);
        const led = (sig: number, times?: number): Fault => ({
          match,
          redirect: `${storage.url}{target}?sig=${sig}`,
          ...(times && { times }),
        });
        const ground = async ({ take }: Ground): Promise<void> => {
          await take();
          const [first, second] = storage.requests;
          assert.match(first?.path ?? '', /sig=1$/);
          assert.deepEqual([second?.path.slice(-5), second?.range], ['sig=2', 'bytes=100000-']);
        };
        await onRegistry({ faults: [led(1, 1), led(2)] }, ground, image);
      });
    },
  },
  {
    report: 'kubernetes/registry.k8s.io#333',
    behaviour: 'storage answers 400 and XML to the range by which a lost download is continued',
    verdict: RIGHT,
    check: through(
      { match: '/blobs/', method: 'GET', times: 2, cutAfter: 100_000 },
      { when: ({ headers }) => headers.has('range'), status: 400, body: XML },
    ),
  },
  {
    report: 'podman-container-tools/container-libs#1114',
    behaviour: 'the range by which a download is continued is ignored: 200 and everything',
    verdict: RIGHT,
    check: through(
      { match: '/blobs/', times: 2, cutAfter: 100_000 },
      { match: '/blobs/', ignoreRange: true },
    ),
  },
  {
    report: 'docker/model-runner#873',
    behaviour: 'a 206 is of another range than the one that was asked for',
    verdict: RIGHT,
    check: through(
      { match: '/blobs/', times: 2, cutAfter: 100_000 },
      { when: ({ headers }) => headers.has('range'), wrongRange: `bytes 0-9/${LARGE}` },
    ),
  },
  {
    report: 'google/go-containerregistry#1500',
    behaviour: 'the body of a manifest, and of a blob, ends before its Content-Length (GHCR)',
    verdict: RIGHT,
    check: through(
      { match: '/manifests/', method: 'GET', times: 1, cutAfter: 50 },
      { match: '/blobs/', times: 2, cutAfter: 90 },
    ),
  },
  {
    report: 'podman-container-tools/podman#17193',
    behaviour: 'a connection is lost soon after the download began, several times',
    verdict: RIGHT,
    check: through({ match: '/blobs/', times: 3, cutAfter: 2_000 }),
  },
  {
    report: 'containerd/containerd#5124',
    behaviour: 'blobs have no Content-Length',
    verdict: RIGHT,
    check: through({ match: '/blobs/', noContentLength: true }),
  },
  {
    report: 'oras-project/oras-go#374',
    behaviour: 'manifests come in chunks, without a length (zot)',
    verdict: RIGHT,
    check: through({ match: '/manifests/', chunked: true }),
  },
  {
    report: 'dragonflyoss/dragonfly#4573',
    behaviour: 'blobs come in chunks as `text/plain`, and the connection is closed after each',
    verdict: RIGHT,
    check: through({
      match: '/blobs/',
      chunked: true,
      headers: { Connection: 'close' },
      contentType: 'text/plain',
    }),
  },
  {
    report: 'ollama/ollama#17580',
    behaviour: 'HEAD of a blob has no Content-Length',
    verdict: RIGHT,
    check: () =>
      onRegistry({ faults: [{ method: 'HEAD', noContentLength: true }] }, async ({ ref, image }) => {
        const [layer] = image.layers;
        await withClient({}, async (client) => {
          const found = await client.find(parseReference(ref), parseDigest(digestOfLayer(image)));
          assert.equal(found.desc.size, layer?.size);
          assert.equal((await bytesOf(await found.fetcher.fetch(found.desc))).length, layer?.size);
        });
      }),
  },
  {
    report: 'PingCAP-QE/ci#5279',
    behaviour: 'a mirror has the empty config as 0 bytes, and the manifest has its content in `data`',
    verdict: RIGHT,
    check: async () => {
      const plain = await buildImage({ layers: [{ entries: [{ name: 'tool', data: 'x' }] }] });
      const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
      const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: 2, data: 'e30=' };
      const image = await plainImage(0, {
        layers: [{ entries: [{ name: 'tool', data: 'x' }] }],
        manifest: { config, artifactType: 'x/y' },
      });
      assert.deepEqual(image.layers, plain.layers);
      const ground = async ({ take, registry }: Ground): Promise<void> => {
        registry.putBlob('t/a', digest, new Uint8Array());
        await take();
        assert.equal(registry.traffic(digest).requests, 0);
      };
      await onRegistry({}, ground, image);
    },
  },
  {
    report: 'podman-container-tools/skopeo#1054',
    behaviour: 'the manifest has a wrong size for a layer, by one byte',
    verdict: 'not ours: the image is wrong, and is refused; both sizes are told',
    check: async () => {
      const right = await plainImage();
      const [layer] = right.layers;
      const layers = [{ ...layer, size: (layer?.size ?? 0) - 1 }];
      const ground = async ({ refused }: Ground): Promise<void> => {
        const err = await refused('DataLoss');
        assert.match(err.message, new RegExp(`${layer?.digest}.*${(layer?.size ?? 0) - 1}`));
      };
      await onRegistry({}, ground, await plainImage(0, { manifest: { layers } }));
    },
  },
  {
    report: 'google/go-containerregistry#1047',
    behaviour:
      'plain HTTP is asked for, and the registry, which wants a password, redirects to itself behind TLS',
    verdict: 'mended in "registry: words of token servers, storage and login pages are told"',
    check: () =>
      beside({ tls: certs(), auth: { mode: 'basic', user: 'me', pass: 'pw' } }, (secure) =>
        onRegistry(
          { faults: [{ redirectStatus: 301, redirect: `${secure.url}{target}` }] },
          async ({ refused, image }) => {
            secure.push('t/a', 'v1', image);
            const options = {
              plainHttp: true,
              tls: { ca: certs().ca },
              credentials: { username: 'me', secret: 'pw' },
            };
            const err = await refused('Unauthenticated', options);
            says(
              err,
              /401 Unauthorized/,
              new RegExp(`led to ${secure.host}, which refuses and is sent no credentials`),
            );
            assert.ok(secure.requests.every(({ authorization }) => authorization === undefined));
          },
        ),
      ),
  },
  {
    report: 'distribution/distribution#2055',
    behaviour: 'HEAD of a blob is redirected to S3, which answers 400 to HEAD',
    verdict: RIGHT,
    check: () =>
      beside({ faults: [{ method: 'HEAD', status: 400 }] }, (storage) =>
        onRegistry(
          { faults: [{ match: '/blobs/', redirect: `${storage.url}{target}` }] },
          async ({ ref, image }) => {
            storage.push('t/a', 'v1', image);
            const digest = parseDigest(digestOfLayer(image));
            const { desc } = await withClient({}, (client) => client.find(parseReference(ref), digest));
            assert.equal(desc.size, image.layers[0]?.size);
          },
        ),
      ),
  },
  {
    report: 'moby/moby#47240',
    behaviour: 'a registry without TLS on this machine leads to storage with TLS',
    verdict: RIGHT,
    check: () =>
      beside({ tls: certs() }, (storage) =>
        onRegistry(
          { faults: [{ match: '/blobs/', redirect: `${storage.url}{target}` }] },
          async ({ take, image }) => {
            storage.push('t/a', 'v1', image);
            await take({ plainHttp: true, tls: { ca: certs().ca } });
          },
        ),
      ),
  },
  {
    report: 'docker-archive/docker-registry#494',
    behaviour: 'a registry with TLS redirects to http',
    verdict: 'mended in "registry: words of token servers, storage and login pages are told"',
    check: () =>
      onRegistry(
        { tls: certs(), faults: [{ redirect: 'http://127.0.0.1{target}' }] },
        async ({ refused }) => {
          const err = await refused('FailedPrecondition', { tls: { ca: certs().ca } });
          says(
            err,
            /redirect to http:\/\/127\.0\.0\.1\/.* refused: it would leave TLS/,
            /own address with https/,
          );
        },
      ),
  },
  {
    report: 'containerd/containerd#7676',
    behaviour: 'a foreign layer is in the registry, and its own address cannot be reached',
    verdict: RIGHT,
    check: async () => {
      const plain = await plainImage();
      const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
      const layers = plain.layers.map((layer) => ({
        ...layer,
        mediaType,
        urls: ['http://127.0.0.1:1/gone'],
      }));
      const image = await plainImage(0, { manifest: { layers } });
      await onRegistry({}, ({ take }) => take(), image);
      await onRegistry({}, ({ take }) => take({ foreignUrls: true }), image);
    },
  },
];
