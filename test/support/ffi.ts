import process from 'node:process';
import { openDenoLibc } from '../../src/platform/deno/libc.ts';
import type { Libc, LibcFunctions } from '../../src/platform/kernel/libc.ts';
import { openNodeLibc } from '../../src/platform/node/libc.ts';
import { isDeno } from './needs.ts';

/** Whether this runtime must have FFI: Node from 26.1 on, and Deno. Said from the version, so that a broken one fails. */
export function hasFfi(): boolean {
  if (isDeno) return true;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 26 || (major === 26 && minor >= 1);
}

/** libc as an older kernel would make it: the named functions fail with ENOSYS. */
export function oldLibc(...absent: (keyof LibcFunctions)[]): Libc {
  const libc = isDeno ? openDenoLibc() : openNodeLibc();
  if (libc === undefined) throw new Error('no FFI');
  let failed = false;
  const fn = { ...libc.fn } as Record<string, (...args: unknown[]) => unknown>;
  for (const [name, real] of Object.entries(fn)) {
    const gone = (absent as string[]).includes(name);
    fn[name] = (...args) => {
      failed = gone;
      return gone ? -1 : real(...args);
    };
  }
  return { ...libc, fn: fn as unknown as LibcFunctions, errno: () => (failed ? 38 : libc.errno()) };
}
