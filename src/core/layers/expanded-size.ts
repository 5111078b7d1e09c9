/** The expanded size of a layer, as far as it is known without fetching the layer. */
import type { InfoProvider, Provider } from '../content/content-store.ts';
import { ifFound } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { DOCKER_LAYER_GZIP, OCI_LAYER, OCI_LAYER_GZIP } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';

/** Expanded bytes to one compressed byte, taken when nothing is known: roughly what gzip and zstd make of a distribution's files. */
export const EXPANSION = 2.5;

/** Written by estargz (stargz-snapshotter docs/estargz.md). */
const SIZE_ANNOTATION = 'io.containers.estargz.uncompressed-size';

export interface ExpandedSize {
  /** Bytes of the archive. */
  readonly bytes: number;
  /** False: EXPANSION times the compressed size. */
  readonly known: boolean;
}

/** Told by the descriptor alone: a layer that is not compressed, or one that is annotated with its size. */
function declaredSize(layer: Descriptor): number | undefined {
  if (layer.mediaType === OCI_LAYER || layer.size === 0) return layer.size;
  const annotated = layer.annotations?.[SIZE_ANNOTATION] ?? '';
  return /^\d{1,15}$/.test(annotated) ? Number(annotated) : undefined;
}

/** The expanded size as far as the descriptor tells, else EXPANSION times the compressed one. */
export function roughSize(layer: Descriptor): ExpandedSize {
  const declared = declaredSize(layer);
  if (declared !== undefined) return { bytes: declared, known: true };
  return { bytes: Math.ceil(layer.size * EXPANSION), known: false };
}

/**
 * The first that is known of: the size of a layer that is not compressed; an annotation; the length at the end of a gzip blob
 * in the store (RFC 1952 2.3.1, modulo 2^32), unless that is less than gzip makes of bytes that do not compress.
 */
export async function expandedSize(
  content: InfoProvider & Provider,
  layer: Descriptor,
  call: Call,
): Promise<ExpandedSize> {
  const rough = roughSize(layer);
  if (rough.known) return rough;
  const isGzip = layer.mediaType === OCI_LAYER_GZIP || layer.mediaType === DOCKER_LAYER_GZIP;
  const length = isGzip ? await gzipLength(content, layer, call) : undefined;
  if (length !== undefined && length >= layer.size * 0.99 - 64) return { bytes: length, known: true };
  return rough;
}

async function gzipLength(
  content: Provider,
  { digest, size }: Descriptor,
  call: Call,
): Promise<number | undefined> {
  if (size < 18) return undefined;
  const stream = await ifFound(content.open(digest, { offset: size - 4, ...call }));
  if (stream === undefined) return undefined;
  const tail: number[] = [];
  for await (const chunk of stream) tail.push(...chunk);
  return tail.length === 4 ? new DataView(Uint8Array.from(tail).buffer).getUint32(0, true) : undefined;
}
