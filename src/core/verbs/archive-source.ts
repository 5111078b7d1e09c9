import type { ArchiveBlobs } from '../carry/archive-blobs.ts';
import { blobKey } from '../content/blob-key.ts';
import { type Anew, withSoundBlob } from '../content/heal.ts';
import { readBlob } from '../content/read.ts';
import { fetchBlob } from '../download/fetch-blob.ts';
import { Link } from '../download/link.ts';
import { sourceLabels } from '../images/gc-labels.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES } from '../oci/documents.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Fetcher } from '../registry/registry.ts';
import type { BlobSource } from './fetch.ts';
import type { Job } from './job.ts';
import type { PullOptions, StoreDeps } from './options.ts';

/**
 * The blobs of an archive's image, from the store or the archive. A blob of the store that has rotted is taken from the archive again;
 * one that arrives with the archive is waited for.
 */
export function archiveSource(
  { deps, options, lease, report }: Job<StoreDeps, PullOptions>,
  fetcher: Fetcher & Pick<ArchiveBlobs, 'follow'>,
): BlobSource {
  const { clock, backend } = deps;
  const { content } = backend;
  const blobs = { content, fetcher, clock, report, link: new Link(clock, { lanes: 1 }) };
  const bring: BlobSource['bring'] = async (desc, call) => {
    let hasCome = false;
    const tell = (offset: number) => {
      hasCome = true;
      report({ type: 'blob', key: blobKey(desc), desc, status: 'downloading', offset });
    };
    await fetcher.follow(desc.digest, tell, call);
    // What has come with the archive is in the store by now, and was not there before.
    const told: Report = (event) =>
      report(
        hasCome && event.type === 'blob' && event.status === 'exists' ? { ...event, status: 'done' } : event,
      );
    return await fetchBlob({ ...blobs, report: told }, desc, call);
  };
  const refetch = (desc: Descriptor, { anew, signal }: Anew) =>
    bring(desc, { lease, labels: sourceLabels(options.reference), anew, signal });
  const warn = (message: string) => report({ type: 'warning', message });
  const document = (desc: Descriptor, call: Call) =>
    withSoundBlob({ content, refetch, warn }, desc, call, () =>
      readBlob(content, desc, MAX_CONFIG_BYTES, call),
    );
  return { bring, document, refetch };
}
