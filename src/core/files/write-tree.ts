/** A flattened tree on a disk, by the rules by which layers are applied. */
import { LayerApplier } from '../archive/apply.ts';
import { undone } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { Syscalls } from '../ports/syscalls.ts';
import type { OwnerPolicy } from '../users/owner-policy.ts';
import type { FlatEvent } from './flatten.ts';

export interface WrittenTree {
  readonly warnings: readonly string[];
  /** There are programs with rights of their own, or devices. */
  readonly privileged: boolean;
}

/** Makes the entries in the directory `root`, which nobody else may change. After an error a part of them is there. */
export async function writeTree(
  sys: Syscalls,
  root: string,
  events: AsyncIterable<FlatEvent>,
  { owner, signal }: Call & { readonly owner: OwnerPolicy },
): Promise<WrittenTree> {
  // What the layers may expand to was limited when they were read.
  const limits = { maxBytes: Number.MAX_SAFE_INTEGER };
  const applier = new LayerApplier(sys, { root, lowers: [], mode: 'flat', owner, ...limits });
  try {
    for await (const event of events) {
      signal?.throwIfAborted();
      if (event.type === 'entry') applier.entry(event.entry);
      else if (event.type === 'data') applier.data(event.bytes);
      else if (event.type === 'hole') applier.hole(event.length);
      else applier.entryEnd();
    }
    applier.finish();
    applier.close();
  } catch (err) {
    throw undone(err, () => applier.close());
  }
  const { warnings, privileged } = applier;
  return { warnings, privileged };
}
