/** libc through node:ffi (Node >= 26.1, experimental). */
import process from 'node:process';
import {
  type FfiType,
  LIBC_NAMES,
  LIBC_SIGNATURES,
  type Libc,
  type LibcFunctions,
  machineOf,
  type Signature,
} from '../kernel/libc.ts';

type Definitions = Record<string, { arguments: readonly FfiType[]; return: FfiType }>;

/** The part of node:ffi that is used here. */
interface NodeFfi {
  dlopen(
    path: string | null,
    definitions: Definitions,
  ): { functions: Record<string, (...args: never[]) => unknown> };
  getInt32(pointer: bigint, offset: number): number;
  getRawPointer(memory: ArrayBufferLike | ArrayBufferView): bigint;
}

/**
 * Undefined when this Node has no FFI, when FFI is forbidden (`--permission` without `--allow-ffi`), or on an unknown machine.
 * Each thread opens its own: errno is the thread's.
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
      return {
        fn: { ...(fn as unknown as LibcFunctions), write: writer(ffi, fn.writev as WriteVector) },
        pin: (bytes) => ffi.getRawPointer(bytes),
        errno: () => ffi.getInt32(location(), 0),
        machine,
      };
    } catch {}
  }
  return undefined;
}

const OWN_SIGNATURES: Readonly<Record<string, Signature>> = {
  __errno_location: { args: [], result: 'pointer' },
  writev: { args: ['i32', 'buffer', 'i32'], result: 'i64' },
};

/** node:ffi refuses two signatures of one symbol (syscall) in one library: each of those is loaded by itself. */
function load(ffi: NodeFfi, library: string | null): Record<string, unknown> {
  const together: Definitions = {};
  const fn: Record<string, unknown> = {};
  const signatures = { ...LIBC_SIGNATURES, ...OWN_SIGNATURES };
  for (const [key, { symbol, args, result }] of Object.entries(signatures)) {
    const definition = { arguments: padded(args), return: result };
    if (symbol === undefined) together[key] = definition;
    else fn[key] = ffi.dlopen(library, { [symbol]: definition }).functions[symbol];
  }
  Object.assign(fn, ffi.dlopen(library, together).functions);
  for (const [key, { args }] of Object.entries(signatures)) fn[key] = filled(fn[key] as AnyCall, args.length);
  return fn;
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

type WriteVector = (fd: number, vectors: bigint, count: number) => bigint;

const TWO32 = 4294967296;

/**
 * write(2) by writev(2), which takes addresses: node:ffi looks up the address of a view at each call, and that takes longer than
 * writing a small file. Here the address is looked up once for each buffer. The last buffer is kept, so that no other buffer
 * gets its address; views of a buffer that was transferred have no bytes.
 */
function writer(ffi: NodeFfi, writev: WriteVector): LibcFunctions['write'] {
  const vector = new DataView(new ArrayBuffer(16));
  const vectors = ffi.getRawPointer(vector);
  let buffer: ArrayBufferLike | undefined;
  let address = 0;
  return (fd, from, length) => {
    if (from.buffer !== buffer) {
      buffer = from.buffer;
      address = Number(ffi.getRawPointer(buffer));
    }
    const start = address + from.byteOffset;
    vector.setUint32(0, start % TWO32, true);
    vector.setUint32(4, start / TWO32, true);
    vector.setUint32(8, length, true);
    return writev(fd, vectors, 1);
  };
}
