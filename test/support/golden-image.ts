/** The image of the vectors of archives: an index of two platforms that share their first layer, byte for byte the same anywhere. */
import { Buffer } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import { childLabels } from '../../src/core/images/gc-labels.ts';
import type { Descriptor } from '../../src/core/oci/descriptor.ts';
import { type Digest, parseDigest } from '../../src/core/oci/digest.ts';
import { childrenOf } from '../../src/core/oci/documents.ts';
import type { AnyStore } from '../../src/mod.ts';
import { digestOf } from './stores.ts';
import { END, member } from './tar-builder.ts';

const OCI = 'application/vnd.oci.image';
export const INDEX_TYPE: string = `${OCI}.index.v1+json`;
export const MANIFEST_TYPE: string = `${OCI}.manifest.v1+json`;
export const CONFIG_TYPE: string = `${OCI}.config.v1+json`;
export const LAYER_TYPE: string = `${OCI}.layer.v1.tar+gzip`;

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/** Made by Python's tarfile and zlib 1.2.13. */
export const BASE: Uint8Array = hex(
  '1f8b0800000000000203edd1410ac2500c05c01cc5237c6a1acfd38217b07a7f83dd75e546119c81c70bd9649175d9aef161a355e6abdbb1474d3d5fce5973cefbbe2aa7388df882c7765f6e7d32fed3daff97df49000000000000000000bce909214c682f00280000',
);
const AMD64 = hex(
  '1f8b0800000000000203edd1b111c2400c04c02fc52598b15eaee7674849b0dd3f02327208cc6e70d25ca240e376cd68df35978c78cdf2392f6baf7d5d227bf4779f59d534b71f38b67ddceb64fb4fe3f97f21c4a9a30100000000000000704a0f7ce7464d00280000',
);
const ARM64 = hex(
  '1f8b0800000000000203edd1b111c2400c044095e212cc58ffaee70b203176ff169091436076833b8d12051adbbd677cd75c7ae6abcb67dfd656f3ba646fd9defb5e629ae3078ec73eb63a19ff693cff2f84b87404000000000000000097740277544e2f00280000',
);

/** As Python's json.dumps writes it. */
function dumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${dumps(one)}`);
  return `{${members.join(', ')}}`;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

export interface GoldenPlatform {
  readonly manifest: Uint8Array;
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
}

function platform(architecture: string, layer: Uint8Array): GoldenPlatform {
  const layers = [BASE, layer];
  const diffs = layers.map((one) => digestOf(new Uint8Array(gunzipSync(one))));
  const config = encode(
    dumps({
      architecture,
      os: 'linux',
      config: { Cmd: ['/x'] },
      rootfs: { type: 'layers', diff_ids: diffs },
    }),
  );
  const manifest = encode(
    dumps({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: describe(CONFIG_TYPE, config),
      layers: layers.map((one) => describe(LAYER_TYPE, one)),
    }),
  );
  return { manifest, config, layers };
}

export const amd64: GoldenPlatform = platform('amd64', AMD64);
export const arm64: GoldenPlatform = platform('arm64', ARM64);

export const index: Uint8Array = encode(
  dumps({
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: Object.entries({ amd64, arm64 }).map(([architecture, { manifest }]) => ({
      ...describe(MANIFEST_TYPE, manifest),
      platform: { os: 'linux', architecture },
    })),
  }),
);

export const INDEX_DIGEST: Digest = parseDigest(
  'sha256:9d6d5f975e9961d6986009cf79471e6117f4a1682a8d205564744785ea3a54e9',
);
export const AMD64_DIGEST: Digest = digestOf(amd64.manifest);
export const ARM64_DIGEST: Digest = digestOf(arm64.manifest);
export const ROOT: Descriptor = describe(INDEX_TYPE, index);

/** Parents first. */
export const documents: readonly (readonly [mediaType: string, bytes: Uint8Array])[] = [
  [INDEX_TYPE, index],
  [MANIFEST_TYPE, amd64.manifest],
  [MANIFEST_TYPE, arm64.manifest],
  [CONFIG_TYPE, amd64.config],
  [CONFIG_TYPE, arm64.config],
];
export const layers: readonly Uint8Array[] = [BASE, AMD64, ARM64];

const EMPTY = encode('{}');
const SBOM = encode('sbom text');
/** An SBOM that refers to the index. */
export const referrer: { readonly manifest: Uint8Array; readonly blobs: readonly Uint8Array[] } = {
  manifest: encode(
    dumps({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      artifactType: 'application/vnd.example.sbom',
      config: describe('application/vnd.oci.empty.v1+json', EMPTY),
      layers: [describe('text/plain', SBOM)],
      subject: ROOT,
      annotations: { k: 'v' },
    }),
  ),
  blobs: [EMPTY, SBOM],
};

/** All of it, but what `leave` says. */
export function blobs(leave: (bytes: Uint8Array) => boolean = () => false): Uint8Array[] {
  return [...documents.map(([, bytes]) => bytes), ...layers].filter((bytes) => !leave(bytes));
}

/** Puts it into a store as a pull would have, without what `leave` says, and records it under `names`. */
export async function storeGolden(
  store: AnyStore,
  names: readonly string[],
  leave: (bytes: Uint8Array) => boolean = () => false,
): Promise<void> {
  const types = new Map(documents.map(([mediaType, bytes]) => [bytes, mediaType]));
  for (const bytes of blobs(leave).reverse()) await putBlob(store, bytes, types.get(bytes) ?? LAYER_TYPE);
  for (const name of names) await store.images.put(name, ROOT, {});
}

/** Puts a blob into a store, with the labels that its children want. */
export async function putBlob(store: AnyStore, bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
  const desc = describe(mediaType, bytes);
  const isDocument = mediaType === INDEX_TYPE || mediaType === MANIFEST_TYPE;
  const labels = isDocument ? childLabels(childrenOf(bytes, desc)) : {};
  const ingest = await store.content.ingest(`golden-${desc.digest}`, desc);
  try {
    await ingest.write(bytes);
    await ingest.commit({ digest: desc.digest, labels });
  } finally {
    await ingest[Symbol.asyncDispose]();
  }
  return desc;
}

/** Puts and records an image without layers, so that there is nothing to unpack; another for each name. Returns its config. */
export async function putEmptyImage(store: AnyStore, name: string): Promise<Descriptor> {
  const bytes = (value: unknown) => encode(JSON.stringify(value));
  const rootfs = { type: 'layers', diff_ids: [] };
  const machine = { architecture: 'amd64', os: 'linux' };
  const config = await putBlob(store, bytes({ ...machine, name, rootfs }), CONFIG_TYPE);
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: [] };
  await store.images.put(name, await putBlob(store, bytes(manifest), MANIFEST_TYPE), {});
  return config;
}

/** An entry of an archive: a file, or what `header` of tar-builder.ts takes. */
export type ArchiveEntry = readonly [name: string, content: Uint8Array | string];

export function tarOf(entries: readonly ArchiveEntry[]): Uint8Array {
  const parts = entries.map(([name, content]) =>
    member({ name, mode: 0o644 }, typeof content === 'string' ? encode(content) : content),
  );
  return new Uint8Array(Buffer.concat([...parts, END]));
}

export function blobEntry(bytes: Uint8Array): ArchiveEntry {
  return [`blobs/sha256/${digestOf(bytes).slice('sha256:'.length)}`, bytes];
}

/** index.json with one descriptor for each of `annotated`. */
export function indexOf(
  annotated: readonly Readonly<Record<string, string>>[],
  more: Readonly<Record<string, unknown>> = {},
): string {
  const manifests = annotated.map((annotations) => ({ ...ROOT, annotations, ...more }));
  return JSON.stringify({ schemaVersion: 2, manifests });
}

/** Docker's archive of the amd64 image as containers/image writes it (skopeo, podman): expanded layers. `legacy`: its old directories. */
export function skopeoArchive(tags: readonly string[], legacy?: (index: number) => Uint8Array): Uint8Array {
  const tars = amd64.layers.map((layer) => new Uint8Array(gunzipSync(layer)));
  const config = `${digestOf(amd64.config).slice(7)}.json`;
  const names = tars.map((tar) => `${digestOf(tar).slice(7)}.tar`);
  const paths = legacy === undefined ? names : names.map((_, at) => `layer${at}/layer.tar`);
  const manifest = JSON.stringify([{ Config: config, RepoTags: tags, Layers: paths }]);
  const links = legacy === undefined ? [] : names.map((_, at) => legacy(at));
  const files: ArchiveEntry[] = tars.map((tar, at) => [names[at] ?? '', tar]);
  const rest = tarOf([...files, [config, amd64.config], ['manifest.json', manifest], ['repositories', '{}']]);
  return new Uint8Array(Buffer.concat([...links, rest]));
}

/** As crane writes it: compressed layers by their digests, the config without an extension. */
export function craneArchive(tags: readonly string[]): Uint8Array {
  const names = amd64.layers.map((layer) => `${digestOf(layer).slice(7)}.tar.gz`);
  const config = digestOf(amd64.config);
  const files: ArchiveEntry[] = amd64.layers.map((layer, at) => [names[at] ?? '', layer]);
  const manifest = JSON.stringify([{ Config: config, RepoTags: tags, Layers: names }]);
  return tarOf([[config, amd64.config], ...files, ['manifest.json', manifest]]);
}

export const LAYOUT: string = '{"imageLayoutVersion":"1.0.0"}';
