/** The containerd of this node: the one that is named, or the one that a distribution of Kubernetes or the system runs. */
import type { Backend } from '../../core/backend.ts';
import { HawserError, isKind } from '../../core/errors.ts';
import { ROOT } from '../grammar/flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { type Context, containerdAddress, namespaceOf, warn, withContainerd } from './context.ts';

/** In the order in which they are tried: a distribution's own goes before the system's. */
const SOCKETS: readonly string[] = [
  '/run/k3s/containerd/containerd.sock',
  '/run/k0s/containerd.sock',
  '/var/snap/microk8s/common/run/containerd.sock',
  '/run/containerd/containerd.sock',
];

/** The namespace of Kubernetes. */
const NODE_NAMESPACE = 'k8s.io';

export interface Node {
  readonly address: string;
  readonly backend: Backend;
}

/** Says on standard error which containerd was found. NotFound when none is there. */
export async function withNode<T>(context: Context, work: (node: Node) => Promise<T>): Promise<T> {
  if (context.input.has(ROOT))
    throw usageError(
      'a node is filled inside its containerd, not in a store of hawser’s own',
      'Leave --root away',
    );
  const namespace = namespaceOf(context.input, NODE_NAMESPACE);
  const at = (address: string) =>
    withContainerd(context, { address, namespace }, (backend) => work({ address, backend }));
  const named = containerdAddress(context);
  if (named !== undefined) return await at(named);
  const { fs } = context.runtime;
  const found: string[] = [];
  for (const path of SOCKETS) {
    const info = await fs.stat(path, { follow: true, signal: context.signal });
    if (info?.type === 'other') found.push(path);
  }
  return await firstOf(context, found, namespace, at);
}

/** A socket may outlive its containerd: then the next one is tried. */
async function firstOf<T>(
  context: Context,
  [first, ...others]: readonly string[],
  namespace: string,
  at: (address: string) => Promise<T>,
): Promise<T> {
  if (first === undefined)
    throw new HawserError(
      'NotFound',
      `No containerd is found here: there is no socket at ${SOCKETS.join(', ')}`,
      {
        hint: 'Start it first, or name its socket with --address',
      },
    );
  const answers = async () => {
    try {
      await withContainerd(context, { address: first, namespace }, async () => {});
      return true;
    } catch (err) {
      if (others.length === 0 || !isKind(err, 'Unavailable')) throw err;
      return false;
    }
  };
  if (!(await answers())) {
    await warn(context, `warning: nobody answers at ${first}`);
    return await firstOf(context, others, namespace, at);
  }
  const rest = others.length === 0 ? '' : ` (not in ${others.join(', ')}; --address chooses)`;
  await warn(context, `containerd at ${first}, namespace ${namespace}${rest}`);
  return await at(first);
}
