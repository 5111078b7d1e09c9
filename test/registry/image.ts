/** Images for tests, from descriptions of their layers. */
import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack, type Header as TarHeaders } from 'tar-stream';
import { concat } from './http-server.ts';

export type LayerCompression = 'gzip' | 'zstd' | 'none';

/** `data` makes it a file; else `header.type` says what it is. */
export interface TestEntry extends Partial<Omit<TarHeaders, 'size' | 'name'>> {
  readonly name: string;
  readonly data?: string | Uint8Array;
}

export interface TestLayer {
  /** Entries, or a tar made elsewhere. */
  readonly entries?: readonly TestEntry[];
  readonly tar?: Uint8Array;
  /** The tar as `compression` has it; by default it is made here. */
  readonly packed?: Uint8Array;
  /** Default gzip. */
  readonly compression?: LayerCompression;
  /** In the place of the one that fits. */
  readonly mediaType?: string;
}

export interface ImageDescription {
  readonly layers: readonly TestLayer[];
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  /** Put over the config. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Put over the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** Docker's media types instead of OCI's. */
  readonly docker?: boolean;
}

export interface TestDocument {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** Everything to push. `manifests` are those below the root. */
export interface TestImage {
  readonly root: TestDocument;
  readonly manifests: readonly TestDocument[];
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly platform: ImageDescription['platform'];
  readonly diffIds: readonly string[];
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[];
}

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';
const SUFFIX = { gzip: '+gzip', zstd: '+zstd', none: '' } as const;
const DOCKER_SUFFIX = { gzip: '.gzip', zstd: '.zstd', none: '' } as const;

export async function buildImage(description: ImageDescription): Promise<TestImage> {
  const { docker = false, platform = { os: 'linux', architecture: 'amd64' } } = description;
  const blobs = new Map<string, Uint8Array>();
  const layers: { mediaType: string; digest: string; size: number }[] = [];
  const diffIds: string[] = [];
  for (const layer of description.layers) {
    const tar = layer.tar ?? (await buildTar(layer.entries ?? []));
    const compression = layer.compression ?? 'gzip';
    const bytes = layer.packed ?? compress(tar, compression);
    const natural = docker
      ? `${DOCKER}.image.rootfs.diff.tar${DOCKER_SUFFIX[compression]}`
      : `${OCI}.layer.v1.tar${SUFFIX[compression]}`;
    diffIds.push(digestOf(tar));
    layers.push({ mediaType: layer.mediaType ?? natural, digest: digestOf(bytes), size: bytes.length });
    blobs.set(digestOf(bytes), bytes);
  }
  const fields = {
    ...platform,
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: diffIds.map(() => ({ created_by: 'test' })),
    ...description.config,
  };
  const config = encode(JSON.stringify(fields));
  blobs.set(digestOf(config), config);
  const mediaType = docker ? `${DOCKER}.distribution.manifest.v2+json` : `${OCI}.manifest.v1+json`;
  const configType = docker ? `${DOCKER}.container.image.v1+json` : `${OCI}.config.v1+json`;
  const root = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: configType, digest: digestOf(config), size: config.length },
    layers,
    ...description.manifest,
  });
  return { root, manifests: [], blobs, platform, diffIds, layers };
}

/** An index over images (or indexes), in this order. */
export function buildIndex(
  images: readonly TestImage[],
  more: Readonly<Record<string, unknown>> = {},
): TestImage {
  const mediaType = `${OCI}.index.v1+json`;
  const root = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    manifests: images.map(({ root, platform }) => ({
      mediaType: root.mediaType,
      digest: root.digest,
      size: root.bytes.length,
      ...(platform === undefined ? {} : { platform }),
    })),
    ...more,
  });
  return {
    root,
    manifests: images.flatMap((image) => [...image.manifests, image.root]),
    blobs: new Map(images.flatMap((image) => [...image.blobs])),
    platform: undefined,
    diffIds: [],
    layers: [],
  };
}

export async function buildTar(entries: readonly TestEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  const tar = pack();
  for (const { data, ...header } of entries) {
    const content = data === undefined ? '' : data;
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    tar.entry({ ...header, mtime: header.mtime ?? new Date(0), size: bytes.length }, asBuffer(bytes));
  }
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar as AsyncIterable<Uint8Array>) parts.push(part);
  return concat(parts);
}

/** tar-stream asks for a Buffer. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state & 0xff;
  }
  return out;
}

function compress(tar: Uint8Array, compression: LayerCompression): Uint8Array {
  if (compression === 'gzip') return new Uint8Array(gzipSync(tar));
  return compression === 'zstd' ? new Uint8Array(zstdCompressSync(tar)) : tar;
}

export function document(mediaType: string, value: unknown): TestDocument {
  const bytes = encode(JSON.stringify(value));
  return { mediaType, digest: digestOf(bytes), bytes };
}

export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
