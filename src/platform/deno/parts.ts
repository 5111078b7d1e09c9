import process from 'node:process';
import type { RuntimeParts } from '../parts.ts';

/** What Deno has of its own. */
export const parts: RuntimeParts = {
  name: 'deno',
  version: process.versions.deno ?? '',
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  kernel: async () => (await import('./kernel.ts')).kernel,
  transports: async () => (await import('./transport.ts')).createTransports(),
};
