import { fromUtf8 } from '../bytes.ts';
import { ifFound } from '../errors.ts';
import type { Syscalls } from '../ports/syscalls.ts';

/**
 * Which directory an absolute path leads to, by device and inode number: equal for two names of one directory. Undefined
 * where there is none, or where this process may not look.
 */
export async function identityOf(sys: Syscalls, path: string): Promise<string | undefined> {
  const look = async (): Promise<string> => {
    const dir = sys.openRoot(`${path}/.`);
    try {
      const { dev, ino } = sys.fstat(dir);
      return `${dev} ${ino}`;
    } finally {
      sys.closeDir(dir);
    }
  };
  return await ifFound(look(), 'PermissionDenied', 'FailedPrecondition');
}

/** The same for a file of any type, whose last component is not followed. */
export async function inodeAt(sys: Syscalls, path: string): Promise<string | undefined> {
  const cut = path.lastIndexOf('/');
  const name = path.slice(cut + 1);
  if (name === '') return await identityOf(sys, path);
  const look = async (): Promise<string | undefined> => {
    const dir = sys.openRoot(`${path.slice(0, cut)}/.`);
    try {
      const stat = sys.lstat(dir, fromUtf8(name));
      return stat && `${stat.dev} ${stat.ino}`;
    } finally {
      sys.closeDir(dir);
    }
  };
  return await ifFound(look(), 'PermissionDenied', 'FailedPrecondition');
}
