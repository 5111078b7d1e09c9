/** Paths as names alone: no file system is asked, so a symlink on the way counts for nothing. */

/** The components below the root. `.` and empty ones are dropped; `..` drops the one before, and never leaves the root. */
export function componentsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/** The absolute path in its shortest form; one that is not absolute is taken from the root. */
export function cleanPath(path: string): string {
  return `/${componentsOf(path).join('/')}`;
}
