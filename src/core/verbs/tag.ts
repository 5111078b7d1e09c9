/** The verb `tag`: another name for what an image names. */
import { cleanupSignal } from '../async/abort.ts';
import { cleaningUp } from '../async/cleanup.ts';
import { type Undo, undoable } from '../async/undo.ts';
import type { Backend } from '../backend.ts';
import { HawserError, ifFound, isKind, messageOf } from '../errors.ts';
import { ALL_ADMITTED } from '../images/admitted.ts';
import { digestName } from '../images/cri.ts';
import type { Image } from '../images/image-store.ts';
import type { Call } from '../ports/call.ts';
import type { Reference } from '../reference/reference.ts';

export interface TagOptions extends Call {
  /** The name of the image record that is there. */
  readonly source: string;
  readonly target: Reference;
  /** Moves a name that is taken. */
  readonly force?: boolean | undefined;
}

/** Milliseconds that the lease lasts, should this process die. */
const BRIEFLY = 60_000;

type TagRoles = Pick<Backend, 'images' | 'leases' | 'namespace' | 'criNamespace'>;

/**
 * Where CRI reads the records, `repository@digest` is recorded too. NotFound without the source; AlreadyExists for a name that is taken by other content; InvalidArgument for
 * one with another digest.
 */
export async function tagImage(
  { images, leases, namespace, criNamespace }: TagRoles,
  { source, target: { name, digest }, force = false, signal }: TagOptions,
): Promise<Image> {
  const lease = await leases.create({ expiresIn: BRIEFLY, signal });
  const work = async (): Promise<Image> => {
    const found = await held({ images, leases }, source, lease.id, { signal });
    const { target } = found;
    const labels = { ...ALL_ADMITTED, ...found.labels };
    if (digest !== undefined && digest !== target.digest) {
      const what = `Cannot call ${source} ${name}: its digest is ${target.digest}`;
      throw new HawserError('InvalidArgument', what, { hint: 'Leave the digest out of the new name' });
    }
    try {
      return await undoable(async (undo) => {
        if (namespace === criNamespace)
          await recordDigest(images, { name, target, labels }, undo, { signal });
        return await images.put(name, target, labels, { signal, keepsOther: !force });
      });
    } catch (err) {
      if (force || !isKind(err, 'AlreadyExists')) throw err;
      throw new HawserError('AlreadyExists', messageOf(err), { hint: 'Move the name with --force' });
    }
  };
  return await cleaningUp(
    work,
    async () => void (await ifFound(leases.delete(lease.id, { signal: cleanupSignal() }))),
  );
}

/** `repository@digest`, unless it is there. */
async function recordDigest(
  images: Backend['images'],
  { name, target, labels }: Pick<Image, 'name' | 'target' | 'labels'>,
  undo: Undo,
  call: Call,
): Promise<void> {
  const byDigest = digestName(name, target);
  if (byDigest === undefined || byDigest === name) return;
  if ((await ifFound(images.get(byDigest, call))) !== undefined) return;
  const made = await images.put(byDigest, target, labels, call);
  undo(async () => void (await images.deleteUnchanged([made], { signal: cleanupSignal() })));
}

/** The image of that name, whose content the lease protects: also when the record goes or moves meanwhile. */
async function held(
  { images, leases }: Pick<Backend, 'images' | 'leases'>,
  name: string,
  lease: string,
  call: Call,
): Promise<Image> {
  for (;;) {
    const { target } = await images.get(name, call);
    await leases.add(lease, { type: 'content', id: target.digest }, call);
    const now = await images.get(name, call);
    if (now.target.digest === target.digest) return now;
  }
}
