import { closeSync, openSync, readSync } from 'node:fs';
import process from 'node:process';
import type { Host } from '../../core/ports/host.ts';
import { createProcessHost } from '../process/process-host.ts';

export function createNodeHost(): Host {
  return { ...createProcessHost('node', process.versions.node), random };
}

/** From the kernel, where it has a device for that: to load node:crypto takes a tenth of a small pull. */
function random(length: number): Uint8Array {
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
