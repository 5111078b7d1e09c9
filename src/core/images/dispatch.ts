/** The graph walk of a pull (containerd's images.Dispatch): a handler per descriptor, its children side by side. */
import { Limiter, type Slot } from '../async/limiter.ts';
import { allOrAbort } from '../async/settle.ts';
import { HawserError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';

/** Does the work of one node; returns the children to visit. */
export type Handler = (desc: Descriptor, call: { signal: AbortSignal }) => Promise<readonly Descriptor[]>;

/** Limits for hostile images. An honest one has three levels: index, manifest, layer. */
export const MAX_DEPTH = 8;
export const MAX_NODES = 20_000;

export interface DispatchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Handlers at work at once; a node lends its slot while its children run. */
  readonly limit: number;
}

/**
 * Visits everything reachable from `root`, each digest once, parents before children. The first failure aborts the rest,
 * and is thrown when all have ended. InvalidArgument for one digest with two sizes, for more than MAX_DEPTH levels or
 * MAX_NODES nodes.
 */
export async function dispatch(root: Descriptor, handler: Handler, opts: DispatchOptions): Promise<void> {
  const limiter = new Limiter(opts.limit);
  const seen: Claims = new Map();
  const visit = async (desc: Descriptor, depth: number, signal: AbortSignal): Promise<void> => {
    if (!claim(seen, desc, depth)) return;
    const run = async (slot: Slot) => {
      const children = await handler(desc, { signal });
      if (children.length === 0) return;
      await slot.lend(async () => {
        await allOrAbort(children, signal, (child, own) => visit(child, depth + 1, own));
      });
    };
    await limiter.run(signal, run);
  };
  await allOrAbort([root], opts.signal, (desc, signal) => visit(desc, 0, signal));
}

/** What was visited, by digest. */
export type Claims = Map<string, Descriptor>;

/** False when the digest was visited already. InvalidArgument as for `dispatch`. */
export function claim(seen: Claims, desc: Descriptor, depth: number): boolean {
  const before = seen.get(desc.digest);
  if (before !== undefined) {
    if (before.size === desc.size) return false;
    throw refuse(desc, `it is described with ${before.size} and with ${desc.size} bytes`);
  }
  if (depth > MAX_DEPTH) throw tooDeep(desc);
  if (seen.size >= MAX_NODES) throw refuse(desc, `the image has more than ${MAX_NODES} parts`);
  seen.set(desc.digest, desc);
  return true;
}

export function tooDeep(desc: Descriptor): HawserError {
  return refuse(desc, `it is nested more than ${MAX_DEPTH} levels deep`);
}

function refuse(desc: Descriptor, why: string): HawserError {
  return new HawserError('InvalidArgument', `Cannot walk the image at ${desc.digest}: ${why}`, {
    hint: 'The image is malformed or hostile; ask its publisher',
  });
}
