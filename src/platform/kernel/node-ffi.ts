/** node:ffi (Node >= 26.1, experimental): functions of a library, by their signatures. */
import process from 'node:process';
import type { FfiType, Signature } from './libc.ts';

type Definitions = Record<string, { arguments: readonly FfiType[]; return: FfiType }>;

/** The part of node:ffi that is used here. */
export interface NodeFfi {
  dlopen(path: string | null, definitions: Definitions): { functions: ForeignFunctions };
  getInt32(pointer: bigint, offset: number): number;
  getRawPointer(memory: ArrayBufferLike | ArrayBufferView): bigint;
}

export type ForeignFunctions = Record<string, (...args: never[]) => unknown>;

/** Undefined when this runtime has none. Throws when FFI is forbidden (`--permission` without `--allow-ffi`). */
export function nodeFfi(): NodeFfi | undefined {
  return process.getBuiltinModule('node:ffi') as unknown as NodeFfi | undefined;
}

/** Throws when the library (null: this program) or one of the functions is not there. */
export function loadFunctions(
  ffi: NodeFfi,
  library: string | null,
  signatures: Readonly<Record<string, Signature>>,
): ForeignFunctions {
  const all = Object.entries(signatures);
  const definitions = all.map(([name, { args, result }]) => [
    name,
    { arguments: padded(args), return: result },
  ]);
  const { functions } = ffi.dlopen(library, Object.fromEntries(definitions));
  return Object.fromEntries(
    all.map(([name, { args }]) => [name, filled(functions[name] as AnyCall, args.length)]),
  );
}

/**
 * Every function is declared with at least so many arguments; C ignores the surplus. V8 compiles a call of fewer arguments into
 * its caller and reads data of node:ffi for that. node:ffi frees the data when a thread ends, while the thread's compiler may
 * still read it: a process that ends a busy worker crashes (Node 26.10).
 */
const COMPILED_BELOW = 4;

function padded(args: readonly FfiType[]): FfiType[] {
  return [...args, ...new Array<FfiType>(Math.max(0, COMPILED_BELOW - args.length)).fill('i32')];
}

type AnyCall = (...args: unknown[]) => unknown;

function filled(fn: AnyCall, count: number): AnyCall {
  if (count === 0) return () => fn(0, 0, 0, 0);
  if (count === 1) return (a) => fn(a, 0, 0, 0);
  if (count === 2) return (a, b) => fn(a, b, 0, 0);
  if (count === 3) return (a, b, c) => fn(a, b, c, 0);
  return fn;
}
