/** Artifacts: manifests whose config or layers are no image's. */
import { document, encode, type TestDocument, type TestImage } from '../image.ts';
import { sha256 } from '../registry.ts';

export interface ArtifactBlob {
  readonly mediaType: string;
  readonly data: string | Uint8Array;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ArtifactDescription {
  /** Default: no such member. */
  readonly artifactType?: string;
  /** Default: the empty one of image-spec 1.1. */
  readonly config?: ArtifactBlob;
  readonly layers: readonly ArtifactBlob[];
  readonly subject?: TestImage;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The manifest's own type. Default: OCI's. */
  readonly mediaType?: string;
}

const EMPTY: ArtifactBlob = { mediaType: 'application/vnd.oci.empty.v1+json', data: '{}' };
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

export function buildArtifact(description: ArtifactDescription): TestImage {
  const { artifactType, config = EMPTY, layers, subject, annotations, mediaType = MANIFEST } = description;
  const blobs = new Map<string, Uint8Array>();
  const describe = ({ mediaType, data, annotations }: ArtifactBlob) => {
    const bytes = bytesOf(data);
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, ...(annotations && { annotations }) };
  };
  const described = layers.map(describe);
  const root = document(mediaType, {
    schemaVersion: 2,
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    config: describe(config),
    layers: described,
    ...(subject && { subject: entryOf(subject.root) }),
    ...(annotations && { annotations }),
  });
  return { root, manifests: [], blobs, platform: undefined, diffIds: [], layers: described };
}

/** A descriptor of a document. */
export function entryOf({ mediaType, digest, bytes }: TestDocument): Entry {
  return { mediaType, digest, size: bytes.length };
}

interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An image's config as JSON, for layers that are no tar: their digests stand for the diff IDs. */
export function imageConfig(layers: readonly ArtifactBlob[], more: object = {}): string {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ data }) => sha256(bytesOf(data))) };
  return JSON.stringify({ architecture: '', os: '', config: {}, rootfs, ...more });
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? encode(data) : data;
}
