/** Images whose layers or documents are of a special form. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  buildImage,
  buildTar,
  document,
  type ImageDescription,
  noise,
  type TestEntry,
  type TestImage,
} from '../image.ts';
import { sha256 } from '../registry.ts';

export const AMD64 = { os: 'linux', architecture: 'amd64' };

/** An image of one file, `NAME`. */
export const image = (name: string, more: Partial<ImageDescription> = {}): Promise<TestImage> =>
  buildImage({ layers: [{ entries: [{ name, data: name }] }], ...more });

export const platformImage = (architecture: string, variant?: string): Promise<TestImage> =>
  image(variant === undefined ? architecture : `${architecture}-${variant}`, {
    platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) },
  });

type Field = Readonly<Record<string, unknown>>;

/** An image whose layers have the bytes, types and annotations given; `tars` are what they expand to. */
async function withLayers(
  layers: readonly (Field & { readonly mediaType: string; readonly bytes: Uint8Array })[],
  tars: readonly Uint8Array[],
): Promise<TestImage> {
  const rootfs = { type: 'layers', diff_ids: tars.map(sha256) };
  const described = layers.map(({ bytes, ...rest }) => ({
    ...rest,
    digest: sha256(bytes),
    size: bytes.length,
  }));
  const made = await buildImage({ layers: [], config: { rootfs }, manifest: { layers: described } });
  const blobs = layers.map(({ bytes }) => [sha256(bytes), bytes] as const);
  return { ...made, blobs: new Map([...made.blobs, ...blobs]), layers: described };
}

/** stargz-snapshotter: a gzip layer with a table of contents in it. */
export async function estargz(): Promise<TestImage> {
  const entries: TestEntry[] = [
    { name: '.no.prefetch.landmark', data: '\x0f' },
    { name: 'app', data: 'x' },
    { name: 'stargz.index.json', data: '{"version":1,"entries":[]}' },
  ];
  const made = await buildImage({ layers: [{ entries }] });
  const annotations = {
    'containerd.io/snapshot/stargz/toc.digest': sha256(noise(3)),
    'io.containers.estargz.uncompressed-size': String((await buildTar(entries)).length),
  };
  return await relayered(made, (layer) => ({ ...layer, annotations }));
}

/** podman's zstd:chunked: a zstd layer, with tables behind it in skippable frames (RFC 8878 3.1.2). */
export async function zstdChunked(): Promise<TestImage> {
  const tar = await buildTar([{ name: 'app', data: 'x' }]);
  const table = zstdCompressSync('{"version":1,"entries":[]}');
  const bytes = new Uint8Array([...zstdCompressSync(tar), ...skippable(table), ...skippable(noise(64))]);
  const annotations = {
    'io.github.containers.zstd-chunked.manifest-checksum': sha256(new Uint8Array(table)),
    'io.github.containers.zstd-chunked.manifest-position': `1:${table.length}:26:1`,
  };
  return await withLayers(
    [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd', bytes, annotations }],
    [tar],
  );
}

function skippable(data: Uint8Array): Uint8Array {
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, 0x184d2a50, true);
  head.setUint32(4, data.length, true);
  return new Uint8Array([...new Uint8Array(head.buffer), ...data]);
}

/** nydusify: blobs that are no tar, and a bootstrap that is. */
export async function nydus(): Promise<TestImage> {
  const blob = noise(4000, 4);
  const bootstrap = await buildTar([{ name: 'image/image.boot', data: noise(300, 3) }]);
  const layers = [
    {
      mediaType: 'application/vnd.oci.image.layer.nydus.blob.v1',
      bytes: blob,
      annotations: { 'containerd.io/snapshot/nydus-blob': 'true' },
    },
    {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      bytes: new Uint8Array(gzipSync(bootstrap)),
      annotations: { 'containerd.io/snapshot/nydus-bootstrap': 'true' },
    },
  ];
  return await withLayers(layers, [blob, bootstrap]);
}

/** imgcrypt (ocicrypt): a layer of noise for who has no key. */
export async function encrypted(): Promise<TestImage> {
  const bytes = noise(2000, 6);
  const annotations = {
    'org.opencontainers.image.enc.keys.jwe': 'e30=',
    'org.opencontainers.image.enc.pubopts': 'e30=',
  };
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted';
  return await withLayers(
    [{ mediaType, bytes, annotations }],
    [await buildTar([{ name: 'app', data: 'x' }])],
  );
}

/** The image of a wasm module for Docker and runwasi: an image in all but its platform. */
export const wasmImage = (): Promise<TestImage> =>
  image('module.wasm', { platform: { os: 'wasi', architecture: 'wasm' } });

/** tkn bundle: a layer for each resource, Docker's types, a config that names no platform. */
export async function tekton(): Promise<TestImage> {
  const made = await image('task', { docker: true, platform: { os: '', architecture: '' } });
  const annotations = {
    'dev.tekton.image.name': 'build',
    'dev.tekton.image.kind': 'task',
    'dev.tekton.image.apiVersion': 'v1',
  };
  return await relayered(made, (layer) => ({ ...layer, annotations }));
}

/** A base layer of Windows as Docker listed it: at Microsoft only, though for the tests of linux/amd64 here. */
export async function foreign(): Promise<TestImage> {
  const mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
  const made = await image('base', { docker: true });
  const urls = ['http://127.0.0.1:9/base.tar.gz'];
  const absent = await relayered(made, (layer) => ({ ...layer, mediaType, urls }));
  const [layer] = made.layers;
  return { ...absent, blobs: new Map([...absent.blobs].filter(([digest]) => digest !== layer?.digest)) };
}

/** OCI's nondistributable layers, which most registries have since. */
export const nondistributable = (): Promise<TestImage> =>
  buildImage({
    layers: [
      {
        entries: [{ name: 'base', data: 'x' }],
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      },
    ],
  });

/** An image of a Docker of 2014: schema 1, signed. */
export function schema1(): TestImage {
  const file = (name: string) =>
    new Uint8Array(readFileSync(join(import.meta.dirname, '../../fixtures/schema1', name)));
  const layers = ['layer-a.tar.gz', 'layer-b.tar.gz'].map(file);
  const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  return {
    root: { mediaType, digest: sha256(file('payload.json')), bytes: file('served.json') },
    manifests: [],
    blobs: new Map(layers.map((bytes) => [sha256(bytes), bytes])),
    platform: undefined,
    diffIds: [],
    layers: [],
  };
}

/** The same image with other descriptors of its layers. */
async function relayered(made: TestImage, change: (layer: Field) => Field): Promise<TestImage> {
  const manifest = JSON.parse(new TextDecoder().decode(made.root.bytes)) as { layers: Field[] };
  const root = document(made.root.mediaType, { ...manifest, layers: manifest.layers.map(change) });
  return { ...made, root };
}
