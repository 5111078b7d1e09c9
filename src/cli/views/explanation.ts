import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';

/** How a reference came to a descriptor, or why it did not. */
export interface Explanation {
  /** The full name. */
  readonly name: string;
  /** In the order in which they happened. */
  readonly events: readonly RegistryEvent[];
  readonly root?: Pick<Descriptor, 'mediaType' | 'digest' | 'size'> | undefined;
  readonly error?: { readonly kind: string; readonly message: string; readonly hint: string | undefined };
}
