/** libc through Deno.dlopen (needs --allow-ffi). */
import { isGranted } from '../kernel/deno-permission.ts';
import {
  type FfiType,
  LIBC_NAMES,
  LIBC_SIGNATURES,
  type Libc,
  type LibcFunctions,
  machineOf,
} from '../kernel/libc.ts';

interface ForeignFunction {
  readonly name?: string;
  readonly parameters: readonly FfiType[];
  readonly result: FfiType;
}

/** The part of the Deno namespace that is used here. */
interface DenoFfi {
  readonly build: { readonly os: string; readonly arch: string };
  dlopen(
    path: string,
    symbols: Record<string, ForeignFunction>,
  ): { symbols: Record<string, (...args: never[]) => unknown> };
  readonly UnsafePointerView: new (pointer: object) => { getInt32(offset?: number): number };
}

/**
 * Undefined without permission (never asked for, as the tools serve too) or on an unknown machine. Each thread opens its own:
 * errno is the thread's.
 */
export function openDenoLibc(): Libc | undefined {
  const deno = (globalThis as unknown as { Deno?: DenoFfi }).Deno;
  const machine = machineOf(deno?.build.arch ?? '');
  if (deno === undefined || deno.build.os !== 'linux' || machine === undefined) return undefined;
  const table: Record<string, ForeignFunction> = { __errno_location: { parameters: [], result: 'pointer' } };
  for (const [key, { symbol, args, result }] of Object.entries(LIBC_SIGNATURES)) {
    table[key] = { name: symbol ?? key, parameters: args, result };
  }
  for (const name of LIBC_NAMES) {
    if (name === null || !isGranted({ name: 'ffi', path: name })) continue;
    try {
      const { symbols } = deno.dlopen(name, table);
      const location = symbols.__errno_location as () => object;
      return {
        fn: symbols as unknown as LibcFunctions,
        pin: (bytes) => bytes,
        errno: () => new deno.UnsafePointerView(location()).getInt32(),
        machine,
      };
    } catch {}
  }
  return undefined;
}
