/** node:ffi (Node >= 26.1, experimental): functions of a library, by their signatures. */
import process from 'node:process';
import type { FfiType, Signature } from './libc.ts';

interface Library {
  /** Throws where the library lacks the symbol. */
  getSymbol(name: string): bigint;
  getFunction(
    name: string,
    definition: { readonly arguments: readonly FfiType[]; readonly return: FfiType },
  ): AnyCall;
}

/** The part of node:ffi that is used here. */
export interface NodeFfi {
  readonly DynamicLibrary: new (path: string | null) => Library;
  getInt32(pointer: bigint, offset: number): number;
  getRawPointer(memory: ArrayBufferLike | ArrayBufferView): bigint;
}

export type ForeignFunctions = Record<string, (...args: never[]) => unknown>;

/** Undefined when this runtime has none. Throws when FFI is forbidden (`--permission` without `--allow-ffi`). */
export function nodeFfi(): NodeFfi | undefined {
  return process.getBuiltinModule('node:ffi') as unknown as NodeFfi | undefined;
}

/**
 * Throws when the library (null: this program) or one of the functions is not there. Each is made at its first call, and then stands in
 * its own place: to make one takes 0.1 ms, and a command calls a few of forty.
 */
export function loadFunctions(
  ffi: NodeFfi,
  library: string | null,
  signatures: Readonly<Record<string, Signature>>,
): ForeignFunctions {
  const opened = new ffi.DynamicLibrary(library);
  const functions: Record<string, AnyCall> = {};
  for (const [key, { symbol = key, args, result }] of Object.entries(signatures)) {
    opened.getSymbol(symbol);
    // node:ffi refuses two signatures of one symbol (syscall) in one library.
    const from = symbol === key ? () => opened : () => new ffi.DynamicLibrary(library);
    const definition = { arguments: padded(args), return: result };
    functions[key] = (...given) => {
      const made = filled(from().getFunction(symbol, definition), args.length);
      functions[key] = made;
      return made(...given);
    };
  }
  return functions;
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
