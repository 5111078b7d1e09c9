/** Which documents of registries the policy has let in, for `serve`. */
import { BoundedMap } from '../bounded-map.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isDocumentType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { type GateOptions, passGate } from './gate.ts';

type Gated = Parameters<typeof passGate>[0];

const MAX_REMEMBERED = 20_000;

/** Of each repository by itself: the policy of one says nothing of another. Not kept on disk: a server that starts anew judges anew. */
export class Admissions {
  readonly #deps: Gated & { readonly registry: Registry };
  readonly #gate: GateOptions;
  readonly #admitted = new BoundedMap<string, true>(MAX_REMEMBERED);

  constructor(deps: Gated & { readonly registry: Registry }, gate: GateOptions) {
    this.#deps = deps;
    this.#gate = gate;
  }

  has(reference: Reference, digest: Digest): boolean {
    return this.#admitted.get(keyOf(reference, digest)) === true;
  }

  /** PermissionDenied by the policy, which is asked each time for a tag, and once for a digest. */
  async admit(reference: Reference, root: Descriptor, call: Call): Promise<void> {
    if (reference.tag === undefined && this.has(reference, root.digest)) return;
    const evidence = this.#deps.registry.evidence(reference);
    await passGate(this.#deps, this.#gate, { reference, root, platforms: 'all', evidence }, call);
    this.#admitted.set(keyOf(reference, root.digest), true);
  }

  /** The policy judges images: what an index that was let in lists is let in, too. */
  admitChildren(reference: Reference, children: readonly Descriptor[]): void {
    for (const { mediaType, digest } of children)
      if (isDocumentType(mediaType)) this.#admitted.set(keyOf(reference, digest), true);
  }
}

function keyOf({ host, repository }: Reference, digest: Digest): string {
  return `${host}/${repository}@${digest}`;
}
