/** The images that an archive has, with the names that the archive gives them. */
import { readArchived } from '../carry/archive-blobs.ts';
import { type DockerImages, takeDockerImages } from '../carry/docker-archive.ts';
import { annotatedNames } from '../carry/import-names.ts';
import type { Archive } from '../carry/members.ts';
import { ociRoots } from '../carry/oci-roots.ts';
import type { ArchiveForm } from '../carry/open-archive.ts';
import type { Referrer } from '../carry/referrers.ts';
import { SUBJECT } from '../images/gc-labels.ts';
import { isDigest } from '../oci/digest.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import type { Runtime } from '../runtime.ts';
import type { Job } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';

export interface ArchivedContent extends DockerImages {
  /** What refers to the images: they get no names. */
  readonly referrers: readonly Referrer[];
}

interface ArchiveDeps extends StoreDeps {
  readonly runtime: Pick<Runtime, 'host'>;
}

/** Manifests and indexes that the archive names; other things in an index are no error (image-spec image-layout.md).
 * `checks`: layers of a Docker archive are compared with their diff IDs. */
export async function archivedImages(
  job: Job<ArchiveDeps, VerbOptions>,
  archive: Archive,
  { type, prefix }: ArchiveForm,
  checks: boolean,
): Promise<ArchivedContent> {
  const { deps, report, signal, lease } = job;
  const { content } = deps.backend;
  if (type === 'docker') {
    const { codecs, hashers, runtime } = deps;
    const docker = { content, codecs, hashers, random: (length: number) => runtime.host.random(length) };
    return { ...(await takeDockerImages(docker, archive, prefix, checks, { signal, lease })), referrers: [] };
  }
  const read = (name: string, limit: number) =>
    readArchived(archive, content, `${prefix}${name}`, limit, { signal });
  const roots = await ociRoots(read, deps.hashers);
  const referrers = roots.flatMap((desc) => {
    const subject = desc.annotations?.[SUBJECT] ?? '';
    return isDigest(subject) ? [{ desc, subject }] : [];
  });
  const images = roots.flatMap((root) => {
    if (root.annotations?.[SUBJECT] !== undefined) return [];
    if (!isManifestType(root.mediaType) && !isIndexType(root.mediaType)) {
      report({ type: 'warning', message: `Left out ${root.digest}: it is ${root.mediaType}, and no image` });
      return [];
    }
    const { mediaType, digest, size, platform } = root;
    return [{ target: { mediaType, digest, size, platform }, names: annotatedNames(root) }];
  });
  return { images, generated: new Set(), referrers };
}
