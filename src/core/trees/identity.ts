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
