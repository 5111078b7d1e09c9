import { type ByteString, fromUtf8 } from '../bytes.ts';
import { HawserError } from '../errors.ts';
import { S_IFMT, S_IFREG, type Syscalls } from '../ports/syscalls.ts';
import { MergedTree } from './merged-tree.ts';

const CHUNK = 1 << 16;

/**
 * A file of an unpacked tree by its path in there; symlinks are followed inside the tree. Undefined when there is no such
 * regular file. More than `limit` bytes: ResourceExhausted.
 */
export function readFileInTree(
  sys: Syscalls,
  root: string,
  path: string,
  limit: number,
): Uint8Array | undefined {
  const tree = new MergedTree(sys, root, []);
  try {
    const { node, missing } = tree.resolve(fromUtf8(path).split('/'));
    const [name, ...more] = missing;
    const dir = tree.upper(node);
    if (name === undefined || more.length > 0 || dir === undefined) return undefined;
    const stat = sys.lstat(dir, name);
    if (stat === undefined || (stat.mode & S_IFMT) !== S_IFREG) return undefined;
    if (stat.size > limit) {
      throw new HawserError('ResourceExhausted', `${path} of the image has more than ${limit} bytes`);
    }
    const fd = sys.openFile(dir, name satisfies ByteString);
    try {
      return readAll(sys, fd, stat.size);
    } finally {
      sys.closeFile(fd);
    }
  } finally {
    tree.close();
  }
}

function readAll(sys: Syscalls, fd: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const got = sys.read(fd, bytes.subarray(filled, filled + CHUNK));
    if (got === 0) break;
    filled += got;
  }
  return bytes.subarray(0, filled);
}
