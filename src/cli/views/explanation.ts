import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';
import type { PlatformManifest } from '../../core/verbs/resolve-platforms.ts';

/** How a reference came to a descriptor, or why it did not. */
export interface Explanation {
  /** The full name. */
  readonly name: string;
  /** In the order in which they happened. */
  readonly events: readonly RegistryEvent[];
  /** What there is for the platforms that were asked for. */
  readonly manifests?: readonly PlatformManifest[] | undefined;
  readonly root?: Pick<Descriptor, 'mediaType' | 'digest' | 'size'> | undefined;
  readonly error?: { readonly kind: string; readonly message: string; readonly hint: string | undefined };
}
