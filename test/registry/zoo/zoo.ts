/** The kinds of images and artifacts that are in registries, each small. */
import type { TestImage } from '../image.ts';
import * as artifacts from './artifacts.ts';
import * as images from './images.ts';
import * as indices from './indices.ts';

/** By name, which is also a repository's. */
export const ZOO: Readonly<Record<string, () => TestImage | Promise<TestImage>>> = {
  image: () => images.image('app'),
  'image-docker': () => images.image('app', { docker: true }),
  'image-empty': () => images.image('none', { layers: [] }),
  'image-schema1': images.schema1,
  'image-estargz': images.estargz,
  'image-zstd-chunked': images.zstdChunked,
  'image-nydus': images.nydus,
  'image-encrypted': images.encrypted,
  'image-foreign': images.foreign,
  'image-nondistributable': images.nondistributable,
  'image-tekton': images.tekton,
  'image-wasm': images.wasmImage,
  'index-buildx': indices.buildx,
  'index-docker': indices.dockerList,
  'index-mixed': indices.mixed,
  'index-mixed-list': indices.mixedList,
  'index-nested': indices.nested,
  'index-nested-untold': indices.nestedUntold,
  'index-platformless': indices.platformless,
  'index-levels': indices.levels,
  'index-levels-only': indices.levelsOnly,
  'index-nydus': indices.nydusIndex,
  'index-soci': indices.soci2,
  'index-windows': indices.windows,
  'index-referrers': indices.referrers,
  'index-artifacts': indices.artifactIndex,
  'index-buildkit-cache': indices.buildkitIndex,
  helm: artifacts.helm,
  cosign: artifacts.cosignSignature,
  'cosign-bundle': artifacts.cosignBundle,
  notation: artifacts.notation,
  sbom: artifacts.sbom,
  soci: artifacts.soci1,
  'wasm-module': artifacts.wasmModule,
  'wasm-runwasi': artifacts.wasmRunwasi,
  modelpack: artifacts.modelPack,
  ollama: artifacts.ollama,
  flux: artifacts.flux,
  compose: artifacts.compose,
  'buildkit-cache': artifacts.buildkitCache,
  'docker-plugin': artifacts.dockerPlugin,
  sif: artifacts.sif,
  'artifact-draft': artifacts.draftArtifact,
};

/** Which document of `made` a digest is: `itself`, or a manifest by its place among those below the root. */
export function placeOf({ root, manifests }: TestImage, digest: string): string {
  if (digest === root.digest) return 'itself';
  const at = manifests.findIndex((one) => one.digest === digest);
  return at < 0 ? digest : `manifest ${at + 1} of ${manifests.length}`;
}
