import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Reference } from '../reference/reference.ts';

/** What of an image is wanted. */
export interface Wanted {
  readonly reference: Reference;
  readonly platforms: readonly Platform[] | 'all';
  /** The user named the platforms: a root that is a manifest must be for one of them. */
  readonly named: boolean;
  readonly allMetadata: boolean;
  readonly metadataOnly: boolean;
  /** Of an index that nobody vouches for: digests of the entries that may come in. Undefined: all. */
  readonly entries?: ReadonlySet<string> | undefined;
}

/**
 * Called for a manifest whose layers are wanted, in the order of their arrival. `platform`: the one it serves; undefined for a root, whose
 * config decides. `place`: where the manifest stands among all that are wanted.
 */
export type OnManifest = (
  manifest: Descriptor,
  children: readonly Descriptor[],
  platform: string | undefined,
  place: number,
) => void;
