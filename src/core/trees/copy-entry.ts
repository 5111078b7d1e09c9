/** Copies one entry that is no directory. */
import type { ByteString } from '../bytes.ts';
import { undone } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { type Dir, S_IFLNK, S_IFMT, S_IFREG, type Stat, type Syscalls } from '../ports/syscalls.ts';

/** Holes are found by this unit. */
const BLOCK = 4096;

/** A buffer that fits: content is copied by as much. */
export function copyBuffer(size: number): Uint8Array {
  return new Uint8Array(Math.ceil(size / BLOCK) * BLOCK);
}

/**
 * Makes `name` in `to` what it is in `from` (whose `stat` the caller has): type, content with its holes, target, device
 * number. Attributes are not copied. `buffer` comes from `copyBuffer`.
 */
export function copyEntry(
  sys: Syscalls,
  name: ByteString,
  { from, stat, to, buffer }: { from: Dir; stat: Stat; to: Dir; buffer: Uint8Array },
  call: Call = {},
): void {
  const type = stat.mode & S_IFMT;
  if (type === S_IFLNK) sys.symlink(sys.readlink(from, name), to, name);
  else if (type !== S_IFREG) sys.mknod(to, name, type | 0o600, stat.rdevMajor, stat.rdevMinor);
  else {
    const input = sys.openFile(from, name);
    try {
      const output = sys.createFile(to, name, 0o600);
      try {
        copyContent(sys, input, output, buffer, stat.blocks * 512 < stat.size, call);
      } catch (err) {
        throw undone(err, () => sys.closeFile(output));
      }
      sys.closeFile(output);
    } finally {
      sys.closeFile(input);
    }
  }
}

function copyContent(
  sys: Syscalls,
  input: number,
  output: number,
  buffer: Uint8Array,
  sparse: boolean,
  { signal }: Call,
): void {
  let at = 0;
  for (;;) {
    signal?.throwIfAborted();
    const got = sys.read(input, buffer);
    if (got === 0) break;
    const bytes = buffer.subarray(0, got);
    if (sparse) writeData(sys, output, bytes, at);
    else sys.write(output, bytes);
    at += got;
  }
  if (sparse) sys.truncateFile(output, at);
}

/** Writes runs of blocks that are not all zero. */
function writeData(sys: Syscalls, output: number, bytes: Uint8Array, at: number): void {
  let start = 0;
  for (let block = 0; block < bytes.length; block += BLOCK) {
    const piece = bytes.subarray(block, block + BLOCK);
    if (piece.some((byte) => byte !== 0)) continue;
    if (start < block) sys.writeAt(output, bytes.subarray(start, block), at + start);
    start = block + BLOCK;
  }
  if (start < bytes.length) sys.writeAt(output, bytes.subarray(start), at + start);
}
