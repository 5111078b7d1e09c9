import { HawserError } from '../../../core/errors.ts';
import type { Call } from '../../../core/ports/call.ts';
import type { Runtime } from '../../../core/ports/runtime.ts';

/** Numbers of capabilities(7). */
export const CAP_CHOWN = 0;
export const CAP_SYS_ADMIN = 21;

const NAMES: Readonly<Record<number, string>> = {
  [CAP_CHOWN]: 'CAP_CHOWN',
  [CAP_SYS_ADMIN]: 'CAP_SYS_ADMIN',
};
const MAX_STATUS_BYTES = 1 << 16;

/** The effective capabilities of this process; all for root and none for others where /proc cannot be read. */
async function effective(runtime: Runtime, call?: Call): Promise<bigint> {
  try {
    const status = await runtime.fs.readFile('/proc/self/status', MAX_STATUS_BYTES, call);
    const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(new TextDecoder().decode(status))?.[1];
    if (hex !== undefined) return BigInt(`0x${hex}`);
  } catch {
    call?.signal?.throwIfAborted();
  }
  return runtime.host.uid === 0 ? ~0n : 0n;
}

/**
 * FailedPrecondition that names the capability and what to do. Asked at each preparation: a process may drop its
 * capabilities, and reading /proc costs less than a directory.
 */
export async function requireCapability(
  runtime: Runtime,
  snapshotter: string,
  capability: number,
  call?: Call,
): Promise<void> {
  const held = await effective(runtime, call);
  const has = (number: number): boolean => ((held >> BigInt(number)) & 1n) === 1n;
  if (has(capability)) return;
  const name = NAMES[capability] ?? String(capability);
  const other = capability !== CAP_CHOWN && has(CAP_CHOWN) ? 'use --snapshotter native, ' : '';
  throw new HawserError(
    'FailedPrecondition',
    `Cannot make ${snapshotter} snapshots: not root (this process lacks ${name})`,
    { hint: `Run as root, ${other}or fetch without unpacking: hawser content fetch REF` },
  );
}
