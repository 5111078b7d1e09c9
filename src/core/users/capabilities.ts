/** What this process may do (capabilities(7)). */
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import { readProcessStatus } from './process-status.ts';

export const CAP_CHOWN = 0;
export const CAP_SYS_ADMIN = 21;

/**
 * Whether this process has a capability. Each call asks anew, for a process may drop capabilities. Where /proc cannot be read,
 * root counts as having all and others none.
 */
export async function hasCapability(runtime: Runtime, capability: number, call?: Call): Promise<boolean> {
  return (((await effective(runtime, call)) >> BigInt(capability)) & 1n) === 1n;
}

async function effective(runtime: Runtime, call?: Call): Promise<bigint> {
  const status = await readProcessStatus(runtime.fs, call);
  return status?.capabilities ?? (runtime.host.uid === 0 ? ~0n : 0n);
}

/** Why this process lacks a capability (`CAP_CHOWN`) and a hint how to get it; root is not told to be root. `unshare`: flags. */
export function lackOf(
  { host }: Pick<Runtime, 'host'>,
  name: string,
  unshare: string,
): { readonly why: string; readonly hint: string } {
  const namespace = `run in a user namespace (unshare ${unshare})`;
  if (host.uid !== 0)
    return { why: `not root (this process lacks ${name})`, hint: `Run as root, or ${namespace}` };
  return {
    why: `root here lacks ${name}`,
    hint: `Give the container ${name} (docker run --cap-add ${name.replace(/^CAP_/, '')}), or ${namespace}`,
  };
}
