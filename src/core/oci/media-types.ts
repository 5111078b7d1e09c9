/** Media types of image-spec media-types.md, Docker's image manifest v2 schema 2, and containerd's own. */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** Of image-spec 1.1's drafts; oras 0.15 and 0.16 pushed such. */
const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json';
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
/** Schema 1, signed. */
export const DOCKER_SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
/** Schema 1, unsigned. */
export const DOCKER_SCHEMA1_UNSIGNED = 'application/vnd.docker.distribution.manifest.v1+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
/** Any compression: the first bytes of the blob decide. */
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
export const DOCKER_LAYER_GZIP = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
export const DOCKER_LAYER_ZSTD = 'application/vnd.docker.image.rootfs.diff.tar.zstd';
const DOCKER_FOREIGN_LAYER = 'application/vnd.docker.image.rootfs.foreign.diff.tar';
const DOCKER_FOREIGN_LAYER_GZIP = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const CHECKPOINT_CRIU = 'application/vnd.containerd.container.criu.checkpoint.criu.tar';
const CHECKPOINT_CONFIG = 'application/vnd.containerd.container.checkpoint.config.v1+proto';
const EROFS_LAYER = 'application/vnd.erofs.layer.v1';
export const OCTET_STREAM = 'application/octet-stream';

const OCI_LAYER_PREFIX = 'application/vnd.oci.image.layer.';
const OTHER_LAYERS: ReadonlySet<string> = new Set([
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  DOCKER_LAYER_ZSTD,
  DOCKER_FOREIGN_LAYER,
  DOCKER_FOREIGN_LAYER_GZIP,
  EROFS_LAYER,
]);

export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;
}

/** Image manifests. Schema 1 is not among them. */
export function isManifestType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

/** A document that lists blobs, and has no config. */
export function isBlobListType(mediaType: string): boolean {
  return mediaType === OCI_ARTIFACT;
}

/** A document that names other blobs. */
export function isDocumentType(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType) || isBlobListType(mediaType);
}

export function isSchema1Type(mediaType: string): boolean {
  return mediaType === DOCKER_SCHEMA1 || mediaType === DOCKER_SCHEMA1_UNSIGNED;
}

/** A layer of any compression or encryption. In a type that is not OCI's, the part after a `+` does not count. */
export function isLayerType(mediaType: string): boolean {
  return mediaType.startsWith(OCI_LAYER_PREFIX) || OTHER_LAYERS.has(mediaType.split('+', 1)[0] ?? '');
}

/** A layer that registries need not have (image-spec: nondistributable; Docker: foreign). */
export function isForeignLayer(mediaType: string): boolean {
  const type = mediaType.split('+', 1)[0] ?? '';
  return (
    type.startsWith(`${OCI_LAYER_PREFIX}nondistributable.`) ||
    type === DOCKER_FOREIGN_LAYER ||
    type === DOCKER_FOREIGN_LAYER_GZIP
  );
}

/** A configuration that describes an image: it has a platform and diff IDs. */
export function isImageConfigType(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** Whether the `artifactType` of a descriptor is an artifact's. That of an image may be the type of its config (image-spec descriptor.md). */
export function isArtifactType(artifactType: string | undefined): boolean {
  return artifactType !== undefined && artifactType !== '' && !isImageConfigType(artifactType);
}

/**
 * The media types of an image's config: old registries knew only octets (distribution issue 1622). containerd rewrites
 * such a manifest and records the new one; hawser records the digest that the user asked for, and reads the config.
 */
export function mayBeImageConfig(mediaType: string): boolean {
  return isImageConfigType(mediaType) || mediaType === OCTET_STREAM;
}

/** containerd's "known configs": image configurations and those of checkpoints. */
export function isConfigType(mediaType: string): boolean {
  return isImageConfigType(mediaType) || mediaType === CHECKPOINT_CRIU || mediaType === CHECKPOINT_CONFIG;
}
