import { HawserError } from '../../../core/errors.ts';
import type { Call } from '../../../core/ports/call.ts';
import type { Runtime } from '../../../core/runtime.ts';
import { CAP_CHOWN, CAP_SYS_ADMIN, hasCapability, lackOf } from '../../../core/users/capabilities.ts';

const NAMES: Readonly<Record<number, string>> = {
  [CAP_CHOWN]: 'CAP_CHOWN',
  [CAP_SYS_ADMIN]: 'CAP_SYS_ADMIN',
};

/**
 * FailedPrecondition that names the capability and the remedy. Reads /proc: a process may drop capabilities.
 */
export async function requireCapability(
  runtime: Runtime,
  snapshotter: string,
  capability: number,
  call?: Call,
): Promise<void> {
  if (await hasCapability(runtime, capability, call)) return;
  const name = NAMES[capability] ?? String(capability);
  const native = capability !== CAP_CHOWN && (await hasCapability(runtime, CAP_CHOWN, call));
  const other = native ? 'use --snapshotter native, ' : '';
  const { why, hint } = lackOf(runtime, name, '--map-root-user --map-auto --mount');
  throw new HawserError('FailedPrecondition', `Cannot make ${snapshotter} snapshots: ${why}`, {
    hint: `${hint}, ${other}unpack into a directory (hawser unpack REF --rootfs DIR), or fetch without unpacking: hawser content fetch REF`,
  });
}
