/** The images that an archive has, with the names that the archive gives them. */
import { readArchived } from '../carry/archive-blobs.ts';
import { type DockerImages, takeDockerImages } from '../carry/docker-archive.ts';
import type { Archive } from '../carry/members.ts';
import { layoutContent } from '../carry/oci-roots.ts';
import type { ArchiveForm } from '../carry/open-archive.ts';
import type { Referrer } from '../carry/referrers.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Runtime } from '../runtime.ts';
import type { Job } from './job.ts';
import type { StoreDeps, VerbOptions } from './options.ts';

export interface ArchivedContent extends DockerImages {
  /** What refers to the images: they get no names. */
  readonly referrers: readonly Referrer[];
  /** All that the index of a layout lists, signatures among it. */
  readonly roots: readonly Descriptor[];
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
    return {
      ...(await takeDockerImages(docker, archive, prefix, checks, { signal, lease })),
      referrers: [],
      roots: [],
    };
  }
  const read = (name: string, limit: number) =>
    readArchived(archive, content, `${prefix}${name}`, limit, { signal });
  const { images, referrers, others, roots } = await layoutContent(read, deps.hashers);
  for (const { digest, mediaType } of others)
    report({ type: 'warning', message: `Left out ${digest}: it is ${mediaType}, and no image` });
  return { images, generated: new Set(), referrers, roots };
}
