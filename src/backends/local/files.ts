/** What lies in the store's directories, records or not. */
import type { Digest } from '../../core/oci/digest.ts';
import { parseDigest } from '../../core/oci/digest.ts';
import type { Call } from '../../core/ports/call.ts';
import type { DirEntry } from '../../core/ports/file-system.ts';
import { blobFile } from './blob-files.ts';
import type { Store } from './store.ts';

export interface Files {
  /** By path relative to the root. */
  readonly blobs: ReadonlyMap<string, { digest: Digest; size: number }>;
  readonly ingests: readonly string[];
  readonly snapshots: readonly { path: string; id: number }[];
}

async function entries(store: Store, dir: string, call?: Call): Promise<DirEntry[]> {
  const path = store.path(dir);
  return (await store.runtime.fs.stat(path, call)) === undefined
    ? []
    : await store.runtime.fs.list(path, call);
}

/** Files in blobs, ingest and snapshots whose names have not our form belong to somebody else and stay. */
export async function listFiles(store: Store, call?: Call): Promise<Files> {
  const ingests = (await entries(store, 'content/ingest', call))
    .filter(({ name }) => /^[0-9a-f]{64}$/.test(name))
    .map(({ name }) => `content/ingest/${name}`);
  return { blobs: await listBlobs(store, call), ingests, snapshots: await listSnapshots(store, call) };
}

async function listBlobs(store: Store, call?: Call): Promise<Files['blobs']> {
  const blobs = new Map<string, { digest: Digest; size: number }>();
  for (const algorithm of ['sha256', 'sha384', 'sha512']) {
    for (const { name } of await entries(store, `content/blobs/${algorithm}`, call)) {
      const digest = tryDigest(`${algorithm}:${name}`);
      if (digest === undefined) continue;
      const info = await store.runtime.fs.stat(store.path(blobFile(digest)), call);
      if (info !== undefined) blobs.set(blobFile(digest), { digest, size: info.size });
    }
  }
  return blobs;
}

async function listSnapshots(store: Store, call?: Call): Promise<Files['snapshots']> {
  const snapshots: { path: string; id: number }[] = [];
  for (const { name, type } of await entries(store, 'snapshots', call)) {
    if (type !== 'directory') continue;
    for (const entry of await entries(store, `snapshots/${name}`, call)) {
      if (!/^[1-9][0-9]*$/.test(entry.name)) continue;
      snapshots.push({ path: `snapshots/${name}/${entry.name}`, id: Number(entry.name) });
    }
  }
  return snapshots;
}

/** Bytes of the regular files that lie directly in a directory, and whose names pass. */
export async function bytesIn(
  store: Store,
  dir: string,
  isWanted: (name: string) => boolean,
  call?: Call,
): Promise<number> {
  let bytes = 0;
  for (const { name, type } of await entries(store, dir, call)) {
    if (type !== 'file' || !isWanted(name)) continue;
    // Another process may have removed the file meanwhile.
    bytes += (await store.runtime.fs.stat(store.path(`${dir}/${name}`), call))?.size ?? 0;
  }
  return bytes;
}

function tryDigest(text: string): Digest | undefined {
  try {
    return parseDigest(text);
  } catch {
    return undefined;
  }
}
