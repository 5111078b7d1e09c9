/** Indexes as tools make them. */
import { buildImage, buildIndex, document, type TestImage } from '../image.ts';
import { buildArtifact, entryOf } from './artifact.ts';
import { buildkitCache, cosignBundle, sbom, sociIndex } from './artifacts.ts';
import { AMD64, image, nydus, platformImage } from './images.ts';

type Field = Readonly<Record<string, unknown>>;

const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

/** An index whose entries have more members. */
function indexOf(entries: readonly (readonly [TestImage, Field])[], more: Field = {}): TestImage {
  const manifests = entries.map(([one, fields]) => ({ ...entryOf(one.root), ...fields }));
  return buildIndex(
    entries.map(([one]) => one),
    { manifests, ...more },
  );
}

/** docker buildx: two platforms, each with an attestation for no platform. */
export async function buildx(): Promise<TestImage> {
  const images = [await platformImage('amd64'), await platformImage('arm64')];
  const attested = await Promise.all(images.map(attestationOf));
  const attestations = attested.map((one, at) => [one, attestationEntry(images[at])] as const);
  return indexOf([...images.map((one) => [one, { platform: one.platform }] as const), ...attestations]);
}

/** BuildKit's attestation: an image's config for `unknown/unknown`, and in-toto layers. */
function attestationOf(about: TestImage): Promise<TestImage> {
  const statement = `{"subject":"${about.root.digest}"}`;
  const mediaType = 'application/vnd.in-toto+json';
  return buildImage({
    platform: { os: 'unknown', architecture: 'unknown' },
    layers: [{ tar: new TextEncoder().encode(statement), compression: 'none', mediaType }],
  });
}

function attestationEntry(about: TestImage | undefined): Field {
  return {
    platform: { architecture: 'unknown', os: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': about?.root.digest,
    },
  };
}

/** Docker's list over Docker's manifests. */
export async function dockerList(): Promise<TestImage> {
  const of = (architecture: string) =>
    image(architecture, { docker: true, platform: { os: 'linux', architecture } });
  const all = [await of('amd64'), await of('arm64')];
  return retyped(buildIndex(all), DOCKER_LIST);
}

/** OCI's index over manifests of Docker and of OCI (docker manifest, oras, older buildx). */
export async function mixed(): Promise<TestImage> {
  const docker = await image('amd64', { docker: true, platform: AMD64 });
  return buildIndex([docker, await platformImage('arm64')]);
}

/** Docker's list over manifests of OCI. */
export async function mixedList(): Promise<TestImage> {
  return retyped(buildIndex([await platformImage('amd64'), await platformImage('arm64')]), DOCKER_LIST);
}

function retyped(index: TestImage, mediaType: string): TestImage {
  const fields = JSON.parse(new TextDecoder().decode(index.root.bytes)) as Field;
  return { ...index, root: document(mediaType, { ...fields, mediaType }) };
}

/** Indexes in an index, the outer entries with platforms. */
export async function nested(): Promise<TestImage> {
  const inner = async (architecture: string) => {
    const one = await platformImage(architecture);
    return { ...buildIndex([one]), platform: one.platform };
  };
  return buildIndex([await inner('arm64'), await inner('amd64')]);
}

/** The same without a platform in the outer entries. */
export async function nestedUntold(): Promise<TestImage> {
  return buildIndex([buildIndex([await platformImage('arm64'), await platformImage('amd64')])]);
}

/** An index whose entries name no platform: their configs do. */
export async function platformless(): Promise<TestImage> {
  const all = [await platformImage('arm64'), await platformImage('amd64')];
  return buildIndex(all.map((one) => ({ ...one, platform: undefined })));
}

/** Images for levels of amd64. */
export async function levels(): Promise<TestImage> {
  return buildIndex([
    await platformImage('amd64', 'v4'),
    await platformImage('amd64', 'v3'),
    await platformImage('amd64'),
    await platformImage('386'),
  ]);
}

/** Images for levels of amd64, and none for the base. */
export async function levelsOnly(): Promise<TestImage> {
  return buildIndex([await platformImage('amd64', 'v3'), await platformImage('amd64', 'v2')]);
}

/** nydusify --oci-ref: the image, and its nydus form for the same platform with a feature. */
export async function nydusIndex(): Promise<TestImage> {
  const feature = { ...AMD64, 'os.features': ['nydus.remoteimage.v1'] };
  return indexOf([
    [await nydus(), { platform: feature, artifactType: 'application/vnd.nydus.image.manifest.v1+json' }],
    [await platformImage('amd64'), { platform: AMD64 }],
  ]);
}

/** SOCI v2: the image, and its table for the same platform. */
export async function soci2(): Promise<TestImage> {
  const one = await image('amd64', {
    manifest: { annotations: { 'com.amazon.soci.index-digest': 'sha256:0' } },
  });
  const { artifactType } = sociIndex('v2');
  const annotations = { 'com.amazon.soci.image-manifest-digest': one.root.digest };
  return indexOf([
    [one, { platform: AMD64 }],
    [buildArtifact(sociIndex('v2')), { platform: AMD64, artifactType, annotations }],
  ]);
}

/** Two versions of Windows and Linux, as Go's and Python's images are. */
export async function windows(): Promise<TestImage> {
  const of = async (build: string) => {
    const platform = { os: 'windows', architecture: 'amd64', 'os.version': build };
    return [await image(`windows-${build}`, { platform }), { platform }] as const;
  };
  return indexOf([
    await of('10.0.17763.1'),
    await of('10.0.20348.1'),
    [await platformImage('amd64'), { platform: AMD64 }],
  ]);
}

/** What refers to an image, as a registry without the referrers API has it at the tag `sha256-HEX`. */
export async function referrers(): Promise<TestImage> {
  const all = [await cosignBundle(), await sbom()] as const;
  const types = ['application/vnd.dev.sigstore.bundle.v0.3+json', 'application/spdx+json'];
  return indexOf(all.map((one, at) => [one, { artifactType: types[at] }]));
}

/** An artifact for each platform (oras manifest index create), such as a tool's executables. */
export async function artifactIndex(): Promise<TestImage> {
  const artifactType = 'application/vnd.example.tool';
  const of = (architecture: string) => {
    const layers = [{ mediaType: 'application/octet-stream', data: `tool for ${architecture}` }];
    const platform = { os: 'linux', architecture };
    return [buildArtifact({ artifactType, layers }), { platform, artifactType }] as const;
  };
  return indexOf([of('amd64'), of('arm64')]);
}

/** BuildKit's cache as it was until 0.12: an index of layers. */
export async function buildkitIndex(): Promise<TestImage> {
  const { root, blobs, layers } = await buildkitCache();
  const { config } = JSON.parse(new TextDecoder().decode(root.bytes)) as { config: Field };
  const cached = layers.map((layer) => ({
    ...layer,
    annotations: { 'buildkit/createdat': '2023-05-17T22:25:52Z' },
  }));
  return { ...buildIndex([], { manifests: [...cached, config] }), blobs };
}
