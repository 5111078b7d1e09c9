/** Compression, diff ID and emptiness of a layer, found by reading its blob. */
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import { peek } from '../codec/peek.ts';
import type { Provider } from '../content/content-store.ts';
import { HawserError } from '../errors.ts';
import { type Digest, makeDigest } from '../oci/digest.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs, Compression } from '../ports/codecs.ts';
import type { Hashers } from '../ports/hashers.ts';

/** Expanded bytes; a layer that has more is refused. */
const MAX_EXPANDED_BYTES = 2 ** 40;

export interface LayerFacts {
  readonly compression: Compression;
  readonly diffId: Digest;
  /** All expanded bytes are zero: an archive without entries. */
  readonly empty: boolean;
}

/** Reads the whole blob, a chunk at a time. */
export async function readLayerFacts(
  deps: { readonly content: Provider; readonly codecs: Codecs; readonly hashers: Hashers },
  digest: Digest,
  call: Call,
): Promise<LayerFacts> {
  const { head, stream } = await peek(await deps.content.open(digest, call), DETECT_LENGTH, call);
  const compression = detectCompression(head);
  const hasher = deps.hashers.create('sha256');
  let size = 0;
  let empty = true;
  const codec = await deps.codecs.get(compression);
  for await (const chunk of codec.decode(stream, call)) {
    size += chunk.length;
    if (size > MAX_EXPANDED_BYTES) {
      throw new HawserError(
        'ResourceExhausted',
        `${digest} expands to more than ${MAX_EXPANDED_BYTES} bytes`,
      );
    }
    hasher.update(chunk);
    empty &&= chunk.every((byte) => byte === 0);
  }
  return { compression, diffId: makeDigest('sha256', hasher.digest()), empty };
}

/** The compression that the first bytes of the blob show. */
export async function readCompression(content: Provider, digest: Digest, call: Call): Promise<Compression> {
  const { head, stream } = await peek(await content.open(digest, call), DETECT_LENGTH, call);
  await stream.cancel();
  return detectCompression(head);
}
