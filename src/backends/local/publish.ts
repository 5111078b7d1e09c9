/** Makes a finished ingest a blob with a record: first durable, then visible. */
import { cleanedUp } from '../../core/async/cleanup.ts';
import type { Labels } from '../../core/content/content-store.ts';
import { algorithmOf, type Digest } from '../../core/oci/digest.ts';
import type { WriteCall } from '../../core/ports/call.ts';
import { blobFile } from './blob-files.ts';
import { forgetIngest, freeIngest, type IngestRecord, removeFiles } from './ingest-record.ts';
import { labelRows } from './labels.ts';
import { addToLease, dropFromLease, requireLease } from './leases.ts';
import type { Store } from './store.ts';

export interface NewBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly labels: Labels;
}

/**
 * Within a transaction: records the blob in the namespace and leases it. A blob that is recorded already keeps its labels and
 * gets those that it lacks.
 */
export function recordBlob(store: Store, blob: NewBlob, lease: string | undefined): void {
  const at = store.now();
  const put = store.db.prepare(
    `INSERT INTO blobs (ns, digest, size, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (ns, digest) DO UPDATE SET size = excluded.size, updated_at = excluded.updated_at`,
  );
  put.run(store.namespace, blob.digest, blob.size, at, at);
  labelRows.add(store.db, store.namespace, 'content', blob.digest, blob.labels);
  addToLease(store, lease, 'content', blob.digest);
}

async function moveIntoPlace(
  store: Store,
  record: IngestRecord,
  digest: Digest,
  call: WriteCall,
): Promise<void> {
  const { fs } = store.runtime;
  const blobs = store.path('content/blobs');
  const dir = `${blobs}/${algorithmOf(digest)}`;
  const data = `${store.path(record.dir)}/data`;
  await fs.chmod(data, 0o444, call);
  if ((await fs.stat(dir, call)) === undefined) {
    await fs.mkdir(dir, 0o700, { parents: true, ...call });
    await fs.syncDir(blobs, call);
  }
  const path = store.path(blobFile(digest));
  if ((await fs.stat(path, call))?.type === 'directory') await store.removeAny(path, call);
  await fs.rename(data, path, call);
  try {
    await store.dirSyncs.join(dir);
  } catch (err) {
    // The next sync of the directory would succeed, though the name may not be on the disk.
    throw await cleanedUp(err, () => fs.remove(path, { tree: true }));
  }
}

/** Notes the digest in the ingest's record, which keeps sweeps off the blob's file. */
async function expect(store: Store, record: IngestRecord, digest: Digest, call: WriteCall): Promise<void> {
  const update = 'UPDATE ingests SET expected = ? WHERE ns = ? AND ref = ?';
  await store.write(() => store.db.prepare(update).run(digest, store.namespace, record.ref), call);
  await store.undoomed([blobFile(digest)], call);
}

/** Removes the ingest's files. False when that fails: the next request for the blob, or a collection, removes them. */
async function cleared(store: Store, record: IngestRecord): Promise<boolean> {
  try {
    await removeFiles(store, record);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes the ingest's data, synced and verified, the blob. A file at the blob's path is replaced: these bytes were hashed just
 * now, those may have rotted. The ingest's record keeps sweeps off the file until the transaction that records the blob
 * and ends the ingest.
 */
export async function publish(
  store: Store,
  record: IngestRecord,
  blob: NewBlob,
  call: WriteCall,
): Promise<void> {
  requireLease(store, call.lease);
  if (record.expected !== blob.digest) await expect(store, record, blob.digest, call);
  await moveIntoPlace(store, record, blob.digest, call);
  const gone = await cleared(store, record);
  await store.write(() => {
    recordBlob(store, blob, call.lease);
    if (gone) forgetIngest(store, record.ref);
    else {
      dropFromLease(store, call.lease, 'ingests', record.ref);
      freeIngest(store, record.ref);
    }
  }, call);
  store.taken.delete(record.ref);
}
