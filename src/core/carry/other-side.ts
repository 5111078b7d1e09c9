/** Those that are asked what the other side has: a registry, a store; and what an export then leaves out. Files that tell: have.ts. */

import { Limiter } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import type { ContentStore } from '../content/content-store.ts';
import { reasonOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { type Have, idOf } from './bundle.ts';
import type { PlannedExport } from './export-plan.ts';

/** Tells what the other side has, at least of these layers. */
export type OtherSide = (layers: readonly Descriptor[], call: Call) => Promise<Have>;

/** Requests at once. */
const ASKED_AT_ONCE = 8;

/** The layers that a pull from the repository would find: by HEAD, with the size of the descriptor. */
export async function haveOfRegistry(
  { registry, hashers }: { readonly registry: Pick<Registry, 'find'>; readonly hashers: Hashers },
  repository: Reference,
  layers: readonly Descriptor[],
  { signal }: Call,
): Promise<Have> {
  const limiter = new Limiter(ASKED_AT_ONCE);
  const there = await allOrAbort(layers, signal, (layer, signal) =>
    limiter.run(signal, () => isThere(registry, repository, layer, { signal })),
  );
  const digests = layers.filter((_, at) => there[at]).map(({ digest }) => digest);
  return { id: idOf(digests, hashers), digests: new Set(digests) };
}

async function isThere(
  registry: Pick<Registry, 'find'>,
  repository: Reference,
  { digest, size }: Descriptor,
  call: Call,
): Promise<boolean> {
  try {
    const { desc } = await registry.find(repository, digest, { ...call, kind: 'blobs' });
    return desc.size === size;
  } catch (err) {
    if (saysAbsent(err)) return false;
    throw err;
  }
}

/** Whether the registry itself lacks it, whatever a mirror answers. Any other failure says nothing of the blob. */
function saysAbsent(err: unknown): boolean {
  const status = reasonOf(err, 'status');
  return status?.status === 404 || status?.absent === true;
}

/** Every blob of a store. */
export async function haveOfStore(
  { content, hashers }: { readonly content: Pick<ContentStore, 'list'>; readonly hashers: Hashers },
  call: Call,
): Promise<Have> {
  const digests = (await content.list(call)).map(({ digest }) => digest);
  return { id: idOf(digests, hashers), digests: new Set(digests) };
}

/** What all of them tell. */
export async function havesOf(
  sides: readonly OtherSide[],
  layers: readonly Descriptor[],
  call: Call,
): Promise<Have[]> {
  const haves: Have[] = [];
  for (const side of sides) haves.push(await side(layers, call));
  return haves;
}

/** The layers of all images, each once. */
export function layersOf(planned: readonly PlannedExport[]): Descriptor[] {
  const layers = planned.flatMap(({ blobs }) => blobs.layers.map(({ desc }) => desc));
  return [...new Map(layers.map((desc) => [desc.digest, desc])).values()];
}

/** Whether a blob is left out because the other side has it. Documents and configs never are: the import decides by them. */
export function holes(
  planned: readonly PlannedExport[],
  haves: readonly Have[],
): (digest: string) => boolean {
  const layers = new Set(layersOf(planned).map(({ digest }) => digest as string));
  const kept = new Set(
    planned.flatMap(({ blobs }) =>
      [...blobs.indexes, ...blobs.manifests, ...blobs.configs].map(({ desc }) => desc.digest as string),
    ),
  );
  return (digest) =>
    layers.has(digest) && !kept.has(digest) && haves.some(({ digests }) => digests.has(digest));
}
