/** Which documents of registries the policy has let in, for `serve`. */
import { BoundedMap } from '../bounded-map.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isDocumentType } from '../oci/media-types.ts';
import type { Call } from '../ports/call.ts';
import type { Report } from '../progress/events.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { passGate, type StandingGate } from './gate.ts';

type Gated = Parameters<typeof passGate>[0];

const MAX_REMEMBERED = 20_000;

/**
 * Of each repository by itself: the policy of one says nothing of another. Nothing that was let in by other rules than those of now. Not kept
 * on disk: a server that starts anew judges anew.
 */
export class Admissions {
  readonly #deps: Gated & { readonly registry: Registry };
  readonly #gate: StandingGate;
  readonly #report: Report;
  #roots = new BoundedMap<string, true>(MAX_REMEMBERED);
  /** By themselves, so that large indexes make no tag forgotten. */
  #children = new BoundedMap<string, true>(MAX_REMEMBERED);
  /** By which all was let in. */
  #rules: string | undefined;

  /** `report`: told of who vouches for an image, and of warnings, when the image is first let in. */
  constructor(deps: Gated & { readonly registry: Registry }, gate: StandingGate, report: Report) {
    this.#deps = deps;
    this.#gate = gate;
    this.#report = report;
  }

  async has(reference: Reference, digest: Digest, call: Call): Promise<boolean> {
    await this.#rulesNow(call);
    return this.#knows(reference, digest);
  }

  /** PermissionDenied by the policy, which is asked each time for a tag, and once for a digest as long as the policy stays as it is. */
  async admit(reference: Reference, root: Descriptor, call: Call): Promise<void> {
    const rules = await this.#rulesNow(call);
    const isKnown = this.#knows(reference, root.digest);
    if (reference.tag === undefined && isKnown) return;
    const subject = {
      reference,
      root,
      platforms: 'all',
      evidence: this.#deps.registry.evidence(reference),
    } as const;
    await passGate(this.#deps, this.#gate, subject, isKnown ? call : { ...call, report: this.#report });
    if (rules === this.#rules) this.#roots.set(keyOf(reference, root.digest), true);
  }

  /** The policy judges images: what an index lists is let in as long as the index is. */
  admitChildren(reference: Reference, { digest: parent }: Descriptor, children: readonly Descriptor[]): void {
    if (!this.#knows(reference, parent)) return;
    for (const { mediaType, digest } of children)
      if (isDocumentType(mediaType)) this.#children.set(keyOf(reference, digest), true);
  }

  #knows(reference: Reference, digest: Digest): boolean {
    const key = keyOf(reference, digest);
    return this.#roots.get(key) === true || this.#children.get(key) === true;
  }

  /** Forgets all that other rules let in. */
  async #rulesNow(call: Call): Promise<string | undefined> {
    const rules = await this.#gate.rules?.(call);
    if (rules !== this.#rules) {
      this.#roots = new BoundedMap(MAX_REMEMBERED);
      this.#children = new BoundedMap(MAX_REMEMBERED);
    }
    this.#rules = rules;
    return rules;
  }
}

function keyOf({ host, repository }: Reference, digest: Digest): string {
  return `${host}/${repository}@${digest}`;
}
