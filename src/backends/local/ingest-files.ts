/** The files of an ingest: its data, and beside it what containerd's have, for those who look. */
import { withOpen } from '../../core/async/cleanup.ts';
import { isKind } from '../../core/errors.ts';
import type { Call } from '../../core/ports/call.ts';
import type { FileHandle } from '../../core/ports/file-system.ts';
import type { IngestRecord } from './ingest-record.ts';
import type { Store } from './store.ts';

const encoder = new TextEncoder();

export function hasSidecars({ total }: IngestRecord): boolean {
  return total === 0 || total >= SIDECARS_FROM;
}

export async function writeSidecar(store: Store, dir: string, name: string, content: string): Promise<void> {
  const path = `${dir}/${name}`;
  await withOpen(store.runtime.fs.open(`${path}.tmp`, 'write', 0o600), async (file) => {
    await file.truncate(0);
    await file.write(encoder.encode(content), 0);
  });
  await store.runtime.fs.rename(`${path}.tmp`, path);
}

/** Bytes. Ingests of smaller blobs end before anyone can read sidecars; the database has our own record of them. */
const SIDECARS_FROM = 1 << 20;

/** The directory of an ingest with containerd's sidecars; times as RFC 3339. */
async function makeDir(store: Store, record: IngestRecord, call?: Call): Promise<string> {
  const dir = store.path(record.dir);
  await store.runtime.fs.mkdir(dir, 0o700, { parents: true, ...call });
  if (!hasSidecars(record)) return dir;
  await writeSidecar(store, dir, 'ref', `${store.namespace}/${record.ref}`);
  await writeSidecar(store, dir, 'startedat', new Date(record.startedAt).toISOString());
  await writeSidecar(store, dir, 'updatedat', new Date(record.updatedAt).toISOString());
  if (record.total > 0) await writeSidecar(store, dir, 'total', String(record.total));
  return dir;
}

/** Makes data writable again that a commit made read-only before it died. False when the data is not such. */
async function reopened(store: Store, record: IngestRecord, call: Call): Promise<boolean> {
  const path = `${store.path(record.dir)}/data`;
  const data = await store.runtime.fs.stat(path, call);
  if (data?.type !== 'file' || (data.mode & 0o200) !== 0) return false;
  await store.runtime.fs.chmod(path, 0o600, call);
  return true;
}

/** Opens the data file. Whatever else stands at its path, or at its directory's, is removed first. */
export async function openData(store: Store, record: IngestRecord, call: Call): Promise<FileHandle> {
  const { fs } = store.runtime;
  const open = async (): Promise<FileHandle> =>
    await fs.open(`${await makeDir(store, record, call)}/data`, 'write', 0o600, call);
  try {
    return await open();
  } catch (err) {
    if (isKind(err, 'PermissionDenied') && (await reopened(store, record, call))) return await open();
    if (!isKind(err, 'FailedPrecondition', 'AlreadyExists')) throw err;
    await store.removeAny(store.path(record.dir), call);
    return await open();
  }
}
