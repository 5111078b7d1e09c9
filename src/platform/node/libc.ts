/** libc through node:ffi (Node >= 26.1, experimental). */
import process from 'node:process';
import {
  type FfiType,
  LIBC_NAMES,
  LIBC_SIGNATURES,
  type Libc,
  type LibcFunctions,
  machineOf,
} from '../linux/libc.ts';

type Definitions = Record<string, { arguments: readonly FfiType[]; return: FfiType }>;

/** The slice of node:ffi that is used here. */
interface NodeFfi {
  dlopen(
    path: string | null,
    definitions: Definitions,
  ): { functions: Record<string, (...args: never[]) => unknown> };
  getInt32(pointer: bigint, offset: number): number;
}

/**
 * `undefined` when this Node has no FFI, it is forbidden (`--permission` without `--allow-ffi`), or the machine is not
 * one we know. One a thread: errno belongs to it.
 */
export function openNodeLibc(): Libc | undefined {
  const machine = machineOf(process.arch);
  if (process.platform !== 'linux' || machine === undefined) return undefined;
  for (const name of LIBC_NAMES) {
    try {
      const ffi = process.getBuiltinModule('node:ffi') as unknown as NodeFfi | undefined;
      if (ffi === undefined) return undefined;
      const fn = load(ffi, name);
      const location = fn.__errno_location as unknown as () => bigint;
      return { fn: fn as unknown as LibcFunctions, errno: () => ffi.getInt32(location(), 0), machine };
    } catch {}
  }
  return undefined;
}

/** node:ffi refuses one symbol (syscall) with two signatures in one library: each of those is loaded by itself. */
function load(ffi: NodeFfi, library: string | null): Record<string, unknown> {
  const together: Definitions = { __errno_location: { arguments: [], return: 'pointer' } };
  const fn: Record<string, unknown> = {};
  for (const [key, { symbol, args, result }] of Object.entries(LIBC_SIGNATURES)) {
    const definition = { arguments: args, return: result };
    if (symbol === undefined) together[key] = definition;
    else fn[key] = ffi.dlopen(library, { [symbol]: definition }).functions[symbol];
  }
  return Object.assign(fn, ffi.dlopen(library, together).functions);
}
