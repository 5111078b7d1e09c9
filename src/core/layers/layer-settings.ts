/** The choices a user has about unpacking layers: handed on whole, from the flags to the worker that applies a layer. */
import type { CodecChoice } from '../ports/codecs.ts';
import type { OwnerMode } from '../users/owner-policy.ts';

/** What a layer may expand to; more is ResourceExhausted. Real images come nowhere near the defaults. */
export interface LayerLimits {
  /** Bytes: of the decompressed stream, and of the files in it with their holes. */
  readonly maxBytes: number;
  /**
   * Decompressed bytes to one compressed byte, by gzip; to zstd, which makes far less of zeros, ten times as many are
   * allowed. 0: any number. The first GiB is free.
   */
  readonly maxRatio: number;
  /** Bytes that the layers of one image expand to together. */
  readonly maxImageBytes: number;
}

/** How layers are unpacked. */
export interface LayerSettings {
  /** Not given: `auto`. */
  readonly codec?: CodecChoice | undefined;
  /** Not given: 1 TiB, and 1000 times the compressed size beyond the first GiB, for each layer and for each image. */
  readonly limits?: Partial<LayerLimits> | undefined;
  /** Whose the files become. Not given: `keep`; in an output directory `ours` without CAP_CHOWN. */
  readonly owner?: OwnerMode | undefined;
  /** Layers unpacked at once. 0 or not given: the number of processors. */
  readonly jobs?: number | undefined;
}

/** What of the settings the job of one layer carries, with every default filled in. */
export interface JobSettings extends Pick<LayerLimits, 'maxBytes' | 'maxRatio'> {
  readonly codec: CodecChoice;
}

/** A layer beyond these is a bomb, whatever the disk could hold. Deflate itself makes at most 1032 bytes of one. */
export const DEFAULT_LIMITS: LayerLimits = { maxBytes: 2 ** 40, maxRatio: 1000, maxImageBytes: 2 ** 40 };

/** A layer, and the layers of an image together, may expand to so many bytes whatever their compressed size is. */
export const FREE_BYTES: number = 2 ** 30;

export function jobSettings({ codec = 'auto', limits }: LayerSettings): JobSettings {
  const { maxBytes, maxRatio } = { ...DEFAULT_LIMITS, ...limits };
  return { codec, maxBytes, maxRatio };
}

/** Picks the settings out of options that have them among others. */
export function settingsOf({ codec, limits, owner, jobs }: LayerSettings): LayerSettings {
  return { codec, limits, owner, jobs };
}

/** The first setting that only workers of our own can follow, in words; undefined when there is none. */
export function oursOnly({ codec = 'auto', limits = {}, owner = 'keep' }: LayerSettings): string | undefined {
  if (codec !== 'auto') return `--codec ${codec}`;
  if (owner !== 'keep') return `--owner ${owner}`;
  return Object.keys(limits).length > 0 ? 'a limit for layers' : undefined;
}
