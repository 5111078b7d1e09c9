/** libc through node:ffi (Node >= 26.1, experimental). */
import process from 'node:process';
import {
  LIBC_NAMES,
  LIBC_SIGNATURES,
  LINKED_FILES,
  type Libc,
  type LibcFunctions,
  type LinkedFiles,
  machineOf,
  type Signature,
} from '../kernel/libc.ts';
import { loadFunctions, type NodeFfi, nodeFfi } from '../kernel/node-ffi.ts';

/**
 * Undefined when this Node has no FFI, when FFI is forbidden (`--permission` without `--allow-ffi`), or on an unknown machine.
 * Each thread opens its own: errno is the thread's.
 */
export function openNodeLibc(): Libc | undefined {
  const machine = machineOf(process.arch);
  if (process.platform !== 'linux' || machine === undefined) return undefined;
  for (const name of LIBC_NAMES) {
    try {
      const ffi = nodeFfi();
      if (ffi === undefined) return undefined;
      const fn = load(ffi, name);
      const errno = (): number => ffi.getInt32(fn.__errno_location(), 0);
      // Now, for the first call, which makes the function, changes errno.
      errno();
      return { fn, pin: (bytes) => ffi.getRawPointer(bytes), errno, machine, linked: linkedFiles(ffi) };
    } catch {}
  }
  return undefined;
}

/** Undefined when this program is not the static executable. */
function linkedFiles(ffi: NodeFfi): LinkedFiles | undefined {
  try {
    const { hawser_make_files: make } = loadFunctions(ffi, null, LINKED_FILES) as {
      hawser_make_files: (batch: bigint) => void;
    };
    const maker = (batch: Uint8Array): (() => void) => {
      const at = ffi.getRawPointer(batch);
      return () => make(at);
    };
    return { maker, address: (buffer) => Number(ffi.getRawPointer(buffer)) };
  } catch {
    return undefined;
  }
}

interface OwnFunctions extends LibcFunctions {
  __errno_location(): bigint;
  writev: WriteVector;
}

const SIGNATURES: { readonly [K in keyof OwnFunctions]: Signature } = {
  ...LIBC_SIGNATURES,
  __errno_location: { args: [], result: 'pointer' },
  writev: { args: ['i32', 'buffer', 'i32'], result: 'i64' },
};

function load(ffi: NodeFfi, library: string | null): OwnFunctions {
  const fn = loadFunctions(ffi, library, SIGNATURES) as unknown as OwnFunctions;
  fn.write = writer(ffi, (fd, vectors, count) => fn.writev(fd, vectors, count));
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
