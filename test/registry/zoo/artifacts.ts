/** Artifacts as projects publish them. Each says whose form it has. */
import { gzipSync } from 'node:zlib';
import { buildImage, buildTar, document, noise, type TestImage } from '../image.ts';
import { type ArtifactBlob, type ArtifactDescription, buildArtifact, imageConfig } from './artifact.ts';

const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';

const archive = async (name: string, data: string): Promise<Uint8Array> =>
  new Uint8Array(gzipSync(await buildTar([{ name, data }])));

/** The image that signatures and SBOMs are about. */
export const subject = (): Promise<TestImage> =>
  buildImage({ layers: [{ entries: [{ name: 'app', data: 'x' }] }] });

/** Helm: a chart with its provenance file. */
export async function helm(): Promise<TestImage> {
  const chart = await archive('app/Chart.yaml', 'name: app\nversion: 1.0.0\n');
  return buildArtifact({
    config: {
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
      data: '{"name":"app","version":"1.0.0"}',
    },
    layers: [
      { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', data: chart },
      {
        mediaType: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
        data: '-----BEGIN PGP SIGNED MESSAGE-----',
      },
    ],
  });
}

/** cosign to 2.x: an image's config, and layers that are signed texts, at the tag `sha256-HEX.sig`. */
export function cosignSignature(): TestImage {
  const mediaType = 'application/vnd.dev.cosign.simplesigning.v1+json';
  const layers: ArtifactBlob[] = [
    {
      mediaType,
      data: '{"critical":{"type":"cosign container image signature"}}',
      annotations: { 'dev.cosignproject.cosign/signature': 'MEUCIQ==' },
    },
  ];
  return buildArtifact({ config: { mediaType: OCI_CONFIG, data: imageConfig(layers) }, layers });
}

/** cosign from 3: a bundle that refers to the image. */
export async function cosignBundle(): Promise<TestImage> {
  const mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
  return buildArtifact({
    artifactType: mediaType,
    layers: [{ mediaType, data: '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}' }],
    subject: await subject(),
    annotations: { 'dev.sigstore.bundle.content': 'dsse-envelope' },
  });
}

/** Notation: its config type is the artifact's (image-spec 1.0). */
export async function notation(): Promise<TestImage> {
  return buildArtifact({
    config: { mediaType: 'application/vnd.cncf.notary.signature', data: '{}' },
    layers: [{ mediaType: 'application/jose+json', data: '{"payload":""}' }],
    subject: await subject(),
  });
}

/** oras attach, syft, trivy: an SBOM that refers to the image. */
export async function sbom(): Promise<TestImage> {
  return buildArtifact({
    artifactType: 'application/spdx+json',
    layers: [{ mediaType: 'application/spdx+json', data: '{"spdxVersion":"SPDX-2.3"}' }],
    subject: await subject(),
  });
}

/** SOCI v1: found by the referrers of an image. */
export async function soci1(): Promise<TestImage> {
  return buildArtifact({ ...sociIndex('v1'), subject: await subject() });
}

/** `version` 2 stands beside its image in an index. */
export function sociIndex(version: 'v1' | 'v2'): ArtifactDescription & { readonly artifactType: string } {
  const type = `application/vnd.amazon.soci.index.${version}+json`;
  const annotations = { 'com.amazon.soci.image-layer-digest': `sha256:${'0'.repeat(64)}` };
  return {
    artifactType: type,
    config: { mediaType: type, data: '{}' },
    layers: [{ mediaType: 'application/octet-stream', data: noise(200, 5), annotations }],
  };
}

/** CNCF TAG Runtime's form of wasm: the module as it is. */
export function wasmModule(): TestImage {
  const config = { created: '2024-01-01T00:00:00Z', architecture: 'wasm', os: 'wasip1', layerDigests: [] };
  return buildArtifact({
    config: { mediaType: 'application/vnd.wasm.config.v0+json', data: JSON.stringify(config) },
    layers: [{ mediaType: 'application/wasm', data: '\0asm\x01\0\0\0' }],
  });
}

/** runwasi: an image's config, and layers of a type of their own. */
export function wasmRunwasi(): TestImage {
  const layers = [{ mediaType: 'application/vnd.wasm.content.layer.v1+wasm', data: '\0asm\x01\0\0\0' }];
  const data = imageConfig(layers, { architecture: 'wasm', os: 'wasip1' });
  return buildArtifact({ config: { mediaType: OCI_CONFIG, data }, layers });
}

/** ModelPack (CNCF model-spec). */
export function modelPack(): TestImage {
  return buildArtifact({
    artifactType: 'application/vnd.cncf.model.manifest.v1+json',
    config: {
      mediaType: 'application/vnd.cncf.model.config.v1+json',
      data: '{"descriptor":{"name":"m"},"config":{},"modelfs":{"type":"layers","diffIds":[]}}',
    },
    layers: [
      {
        mediaType: 'application/vnd.cncf.model.weight.v1.raw',
        data: noise(3000, 7),
        annotations: { 'org.cncf.model.filepath': 'model.safetensors' },
      },
    ],
  });
}

/** Ollama: Docker's types, an image's config, and layers of its own. */
export function ollama(): TestImage {
  const layers = [
    { mediaType: 'application/vnd.ollama.image.model', data: noise(3000, 8) },
    { mediaType: 'application/vnd.ollama.image.template', data: '{{ .Prompt }}' },
    { mediaType: 'application/vnd.ollama.image.params', data: '{"stop":["x"]}' },
  ];
  const data = imageConfig(layers, { model_format: 'gguf', architecture: 'amd64', os: 'linux' });
  return buildArtifact({ mediaType: DOCKER_MANIFEST, config: { mediaType: DOCKER_CONFIG, data }, layers });
}

/** Flux: manifests of a cluster. */
export async function flux(): Promise<TestImage> {
  return buildArtifact({
    config: { mediaType: 'application/vnd.cncf.flux.config.v1+json', data: '{}' },
    layers: [
      {
        mediaType: 'application/vnd.cncf.flux.content.v1.tar+gzip',
        data: await archive('kustomization.yaml', 'resources: []\n'),
      },
    ],
    annotations: { 'org.opencontainers.image.revision': 'main@sha1:0' },
  });
}

/** docker compose publish. */
export function compose(): TestImage {
  return buildArtifact({
    artifactType: 'application/vnd.docker.compose.project',
    layers: [
      {
        mediaType: 'application/vnd.docker.compose.file+yaml',
        data: 'services: {}\n',
        annotations: { 'com.docker.compose.file': 'compose.yaml' },
      },
      { mediaType: 'application/vnd.docker.compose.envfile', data: 'A=1\n' },
    ],
  });
}

/** BuildKit's cache as a manifest (`image-manifest=true`). */
export async function buildkitCache(): Promise<TestImage> {
  return buildArtifact({
    config: {
      mediaType: 'application/vnd.buildkit.cacheconfig.v0',
      data: '{"layers":[{"blob":"x"}],"records":[]}',
    },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', data: await archive('cached', 'x') },
    ],
  });
}

/** docker plugin: its root file system is a layer, its config is none of an image. */
export async function dockerPlugin(): Promise<TestImage> {
  return buildArtifact({
    mediaType: DOCKER_MANIFEST,
    config: { mediaType: 'application/vnd.docker.plugin.v1+json', data: '{"description":"p"}' },
    layers: [
      {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        data: await archive('plugin', 'x'),
      },
    ],
  });
}

/** Singularity: one file. */
export function sif(): TestImage {
  return buildArtifact({
    config: { mediaType: 'application/vnd.sylabs.sif.config.v1+json', data: '{}' },
    layers: [{ mediaType: 'application/vnd.sylabs.sif.layer.v1.sif', data: noise(500, 9) }],
  });
}

/** The artifact manifest of image-spec 1.1's drafts, which oras 0.15 pushed. */
export function draftArtifact(): TestImage {
  const { blobs, layers, ...made } = buildArtifact({
    layers: [{ mediaType: 'application/spdx+json', data: '{"spdxVersion":"SPDX-2.2"}' }],
  });
  const mediaType = 'application/vnd.oci.artifact.manifest.v1+json';
  const root = document(mediaType, { mediaType, artifactType: 'application/spdx+json', blobs: layers });
  const listed = new Map([...blobs].filter(([digest]) => layers.some((one) => one.digest === digest)));
  return { ...made, root, blobs: listed, layers };
}
