/** Whether an image is on a node already, so that nobody has to be asked for it. */
import { ifFound } from '../errors.ts';
import { digestName, tagName } from '../images/cri.ts';
import type { Image } from '../images/image-store.ts';
import { chainIdOf, imageStatus, isComplete } from '../images/inspect.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';
import type { StoreDeps } from './options.ts';

/** The image that this reference names here, whole and unpacked for this machine; undefined where it is not. */
export async function readyImage(
  { backend, hashers, hostPlatform }: StoreDeps,
  { name, digest }: Reference,
  { snapshotter, ...call }: { readonly snapshotter?: string | undefined } & Call,
): Promise<Image | undefined> {
  const { content, images } = backend;
  const image = (await ifFound(images.get(tagName(name), call))) ?? (await byDigest());
  if (image === undefined || (digest !== undefined && image.target.digest !== digest)) return undefined;
  const machine = only(hostPlatform);
  const status = await imageStatus(content, image.target, machine, call);
  if (!status.available || !isComplete(status)) return undefined;
  const chainId = await chainIdOf({ store: content, hashers }, image.target, machine, call);
  if (chainId === '') return image;
  const snapshot = await ifFound(backend.snapshotter(snapshotter).stat(chainId, call));
  return snapshot?.kind === 'Committed' ? image : undefined;

  async function byDigest(): Promise<Image | undefined> {
    const other = digest === undefined ? undefined : digestName(name, { digest });
    return other === undefined ? undefined : await ifFound(images.get(other, call));
  }
}
