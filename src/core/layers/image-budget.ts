/** How much the layers of one image may expand to together: counted by the workers that apply them, in memory they share. */
import { FORMATS, type FormatName } from '../codec/formats.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { DEFAULT_LIMITS, FREE_BYTES, type LayerSettings } from './layer-settings.ts';

/** Plain data: crosses to workers. */
export interface ImageBudget {
  /** One 64-bit number: the expanded bytes so far. */
  readonly spent: SharedArrayBuffer;
  readonly most: number;
  /** Bytes of the layers' blobs, each counted once. */
  readonly compressed: number;
  /** The limit in words, and the flag that lifts it. */
  readonly limit: string;
  readonly flag: string;
}

/**
 * The total, and the ratio over the compressed bytes of the layers, each blob counted once: an image that lists one small layer
 * many times is a bomb, too. The first GiB is free.
 */
export function imageBudget(layers: readonly Descriptor[], { limits }: LayerSettings): ImageBudget {
  const { maxBytes, maxRatio, maxImageBytes } = { ...DEFAULT_LIMITS, ...limits };
  const unique = new Map(layers.map((layer) => [layer.digest, layer]));
  let compressed = 0;
  let byRatio = 0;
  for (const { mediaType, size } of unique.values()) {
    compressed += size;
    byRatio += size * maxRatio * expansionOf(mediaType);
  }
  // A layer that is allowed alone is allowed in an image.
  const total = Math.max(maxImageBytes, limits?.maxImageBytes === undefined ? maxBytes : 0);
  const ratio = maxRatio === 0 ? Number.POSITIVE_INFINITY : Math.max(byRatio, FREE_BYTES);
  const spent = new SharedArrayBuffer(8);
  if (total <= ratio)
    return { spent, compressed, most: total, limit: `${total} bytes`, flag: '--max-image-size' };
  const limit = `${maxRatio} times their ${compressed} compressed bytes`;
  return { spent, compressed, most: ratio, limit, flag: '--max-layer-ratio' };
}

/** By the name at the end of the media type. It may be wrong, but only by the factor between formats. */
function expansionOf(mediaType: string): number {
  const name = Object.keys(FORMATS).find((one) => mediaType.endsWith(one));
  return name === undefined ? 1 : FORMATS[name as FormatName].expansion;
}

/** What one application of a layer has taken out of its image's budget. */
export class Expense {
  readonly #budget: ImageBudget | undefined;
  #bytes = 0;

  constructor(budget: ImageBudget | undefined) {
    this.#budget = budget;
  }

  /** ResourceExhausted when the image has expanded beyond its budget. */
  add(bytes: number): void {
    const budget = this.#budget;
    if (budget === undefined) return;
    this.#bytes += bytes;
    const before = Atomics.add(new BigInt64Array(budget.spent), 0, BigInt(bytes));
    if (Number(before) + bytes <= budget.most) return;
    throw new HawserError(
      'ResourceExhausted',
      `the layers of the image expand to more than ${budget.limit} together`,
      {
        hint: `This is how a decompression bomb looks; for an image that you trust, lift the limit with ${budget.flag}=0`,
      },
    );
  }

  /** The layer is not kept. */
  giveBack(): void {
    if (this.#budget !== undefined) giveBack(this.#budget, this.#bytes);
    this.#bytes = 0;
  }
}

/** For a layer that was applied, and is applied again. */
export function giveBack({ spent }: ImageBudget, bytes: number): void {
  Atomics.sub(new BigInt64Array(spent), 0, BigInt(bytes));
}
