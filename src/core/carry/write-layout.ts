/** Writes images as an OCI image layout: what names and describes them first, so that a reader can work while it reads. */
import type { Provider } from '../content/content-store.ts';
import { wrap } from '../errors.ts';
import { algorithmOf } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import { blobPath } from './docker-manifest.ts';
import type { PlannedBlob } from './export-plan.ts';
import type { LayoutSink } from './sink.ts';

export interface Layout {
  /** index.json; manifest.json and hawser/bundle.json where there is one: in this order. */
  readonly documents: readonly (readonly [name: string, bytes: Uint8Array])[];
  readonly blobs: readonly PlannedBlob[];
}

export const LAYOUT_VERSION: Uint8Array = new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}');

/** Every blob is hashed while it is copied: DataLoss when it has rotted. */
export async function writeLayout(
  content: Provider,
  sink: LayoutSink,
  { documents, blobs }: Layout,
  call: Call,
): Promise<void> {
  const text = (name: string, bytes: Uint8Array) => sink.file(name, bytes.length, one(bytes), call);
  await text('oci-layout', LAYOUT_VERSION);
  for (const [name, bytes] of documents) await text(name, bytes);
  await sink.directory('blobs', call);
  for (const algorithm of new Set(blobs.map(({ desc }) => algorithmOf(desc.digest))))
    await sink.directory(`blobs/${algorithm}`, call);
  for (const blob of blobs) await writeBlobFile(content, sink, blob, call);
}

async function writeBlobFile(
  content: Provider,
  sink: LayoutSink,
  { desc, bytes }: PlannedBlob,
  call: Call,
): Promise<void> {
  call.signal?.throwIfAborted();
  try {
    const stream = bytes === undefined ? await content.open(desc.digest, call) : one(bytes);
    await sink.file(blobPath(desc.digest), desc.size, stream, call);
  } catch (err) {
    throw wrap(`Cannot carry ${desc.digest}`, err);
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
