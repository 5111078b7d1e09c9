import type { ByteString } from '../bytes.ts';
import type { Call } from '../ports/call.ts';
import { type Dir, isDirectory, type Stat, type Syscalls } from '../ports/syscalls.ts';
import type { DirStack } from './dir-stack.ts';

/** What is done with the entries of a tree. `dir` is good during the call only. */
export interface Visitor {
  /** A directory of another mount: the walk does not go in. */
  mounted(dir: Dir, name: ByteString): void;
  /** Before the walk goes into a directory. */
  enter(dir: Dir, name: ByteString, stat: Stat): void;
  /** After everything in the directory. */
  leave(dir: Dir, name: ByteString): void;
  /** Anything but a directory. Symlinks are not followed. */
  entry(dir: Dir, name: ByteString, stat: Stat): void;
}

/**
 * Walks what is at `names` in the directory of `stack`, depth first, without leaving its mount. A name that is absent by now is
 * passed over.
 */
export function walk(
  sys: Syscalls,
  stack: DirStack,
  names: readonly ByteString[],
  visitor: Visitor,
  call?: Call,
): void {
  const levels: ByteString[][] = [[...names]];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    call?.signal?.throwIfAborted();
    const name = level.pop();
    if (name === undefined) {
      levels.pop();
      const done = stack.names.at(-1);
      if (done === undefined) return;
      stack.pop();
      visitor.leave(stack.current, done);
      continue;
    }
    const stat = sys.lstat(stack.current, name);
    if (stat === undefined) continue;
    if (!isDirectory(stat)) visitor.entry(stack.current, name, stat);
    else if (sys.isMountPoint(stack.current, name)) visitor.mounted(stack.current, name);
    else {
      visitor.enter(stack.current, name, stat);
      stack.push(name);
      levels.push(sys.list(stack.current));
    }
  }
}
