import { existsSync, readFileSync } from 'node:fs';
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

/** Whether no C library was loaded for this program: scripts/static made it. */
export const isStatic: boolean =
  existsSync('/proc/self/maps') && !/\/(libc\.|ld-musl)/.test(readFileSync('/proc/self/maps', 'utf8'));

type Call = (...args: unknown[]) => unknown;

export function libcHere(): Libc {
  const libc = isDeno ? openDenoLibc() : openNodeLibc();
  if (libc === undefined) throw new Error('no FFI');
  return libc;
}

/** libc with calls that fail: `errnoOf` gives the number for a call that is not made, or undefined. */
function failingLibc(errnoOf: (name: string, args: readonly unknown[]) => number | undefined): Libc {
  const libc = libcHere();
  let failed: number | undefined;
  const fn = { ...libc.fn } as Record<string, Call>;
  for (const [name, real] of Object.entries(fn)) {
    fn[name] = (...args) => {
      failed = errnoOf(name, args);
      return failed === undefined ? real(...args) : -1;
    };
  }
  return { ...libc, fn: fn as unknown as LibcFunctions, errno: () => failed ?? libc.errno() };
}

export const ENOSYS = 38;
export const EPERM = 1;

/** libc as an older kernel would make it: the named functions fail with ENOSYS. */
export function oldLibc(...absent: (keyof LibcFunctions)[]): Libc {
  return refusingLibc(ENOSYS, ...absent);
}

/** libc whose named functions fail always, as behind a seccomp filter that does not know them. */
export function refusingLibc(errno: number, ...refused: (keyof LibcFunctions)[]): Libc {
  return failingLibc((name) => ((refused as string[]).includes(name) ? errno : undefined));
}

const O_PATH = 0o10000000;
const OF_PROC = ['lsetxattr', 'lgetxattr', 'llistxattr', 'lremovexattr', 'chmod'];

/** libc where /proc is not mounted: what is asked of a path in there fails with ENOENT. The named functions fail with ENOSYS. */
export function libcWithoutProc(...absent: (keyof LibcFunctions)[]): Libc {
  return failingLibc((name, args) => {
    if ((absent as string[]).includes(name)) return ENOSYS;
    const inProc = OF_PROC.includes(name) || (name === 'open' && (Number(args[1]) & O_PATH) !== 0);
    return inProc ? 2 : undefined;
  });
}
