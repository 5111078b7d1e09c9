import type { Descriptor } from '../../core/oci/descriptor.ts';
import type { RegistryEvent } from '../../core/registry/observe.ts';
import type { Acceptance } from '../../core/trust/verdict.ts';
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
  readonly error?: ExplainedError | undefined;
  /** Whether the image may come in; undefined: nobody was asked. */
  readonly verdict?: ExplainedVerdict | undefined;
}

export interface ExplainedError {
  readonly kind: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** `verified` is empty where nobody asks for a proof of the image. `error`: the image is refused, or who decides cannot. */
export type ExplainedVerdict =
  | { readonly accepted: true; readonly verified: readonly Acceptance[] }
  | { readonly accepted: false; readonly error: ExplainedError };
