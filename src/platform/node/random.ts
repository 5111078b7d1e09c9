import { closeSync, openSync, readSync } from 'node:fs';

/** Random bytes from the kernel's device where there is one: loading node:crypto takes a tenth of a small pull. */
export function random(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  try {
    const fd = openSync('/dev/urandom', 'r');
    try {
      if (readSync(fd, bytes, 0, length, null) === length) return bytes;
    } finally {
      closeSync(fd);
    }
  } catch {}
  return crypto.getRandomValues(bytes);
}
