/** What this process may do (capabilities(7)). */
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import { readProcessStatus } from './process-status.ts';

export const CAP_CHOWN = 0;
export const CAP_SYS_ADMIN = 21;

/**
 * Whether the process has a capability now: it may drop them, so this is asked anew each time. Where /proc cannot be read, root
 * has all and others none.
 */
export async function hasCapability(runtime: Runtime, capability: number, call?: Call): Promise<boolean> {
  return (((await effective(runtime, call)) >> BigInt(capability)) & 1n) === 1n;
}

async function effective(runtime: Runtime, call?: Call): Promise<bigint> {
  const status = await readProcessStatus(runtime.fs, call);
  return status?.capabilities ?? (runtime.host.uid === 0 ? ~0n : 0n);
}
