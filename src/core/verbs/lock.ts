/** Which digest the images of a list have now, and whether they still have the one that a lock says. */
import { HawserError } from '../errors.ts';
import type { Locked } from '../lists/lock.ts';
import type { Descriptor, Platform } from '../oci/descriptor.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { Registry } from '../registry/registry.ts';
import { type ResolveDeps, resolvePlatforms } from './resolve-platforms.ts';

/** Asks the registry. With `platforms` also for the manifest of each; NotFound when one is not there. */
export async function lockImage(
  deps: ResolveDeps,
  reference: Reference,
  platforms: readonly Platform[] | undefined,
  call: Call,
): Promise<Locked> {
  if (platforms === undefined)
    return locked(reference, (await deps.registry.resolve(reference, { ...call, read: true })).root);
  const { root, manifests } = await resolvePlatforms(deps, reference, platforms, call);
  const byPlatform = manifests.map(({ platform, desc }) => [platform, desc.digest] as const);
  return { ...locked(reference, root), platforms: Object.fromEntries(byPlatform) };
}

function locked({ name }: Reference, { digest, mediaType, size }: Descriptor): Locked {
  return { ref: name, digest, mediaType, size };
}

/** InvalidArgument for an image without a digest; FailedPrecondition when the registry has another one under the tag by now. */
export async function requireUnmoved(
  { registry }: { readonly registry: Registry },
  reference: Reference,
  call: Call,
): Promise<void> {
  const { name, tag, digest } = reference;
  if (digest === undefined) {
    throw new HawserError('InvalidArgument', `${name} is not locked`, {
      hint: 'hawser lock FILE > images.lock makes a lock; then pull --locked -f images.lock',
    });
  }
  if (tag === undefined) return;
  const { root } = await registry.resolve({ ...reference, digest: undefined }, call);
  if (root.digest === digest) return;
  throw new HawserError(
    'FailedPrecondition',
    `${name} has moved: it is locked to ${digest}, and the registry has ${root.digest}`,
    {
      hint: 'hawser lock makes a new lock; a pull without --locked takes the locked digest',
      reason: { type: 'moved' },
    },
  );
}
