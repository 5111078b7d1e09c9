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
  getRawPointer(memory: ArrayBufferLike | ArrayBufferView): bigint;
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

/** node:ffi refuses one symbol (syscall) with two signatures in one library: each of those is loaded by itself. */
function load(ffi: NodeFfi, library: string | null): Record<string, unknown> {
  const together: Definitions = {
    __errno_location: { arguments: [], return: 'pointer' },
    writev: { arguments: ['i32', 'buffer', 'i32'], return: 'i64' },
  };
  const fn: Record<string, unknown> = {};
  for (const [key, { symbol, args, result }] of Object.entries(LIBC_SIGNATURES)) {
    const definition = { arguments: args, return: result };
    if (symbol === undefined) together[key] = definition;
    else fn[key] = ffi.dlopen(library, { [symbol]: definition }).functions[symbol];
  }
  return Object.assign(fn, ffi.dlopen(library, together).functions);
}

type WriteVector = (fd: number, vectors: bigint, count: number) => bigint;

const TWO32 = 4294967296;

/**
 * write(2) by writev(2). node:ffi asks in each call where the memory of a view is, which takes longer than to write a
 * small file: here once a buffer. The last buffer is held, so its address is not another's; one that was transferred
 * since has no views with bytes in them.
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
