import process from 'node:process';
import type { RuntimeParts } from '../parts.ts';
import { random } from './random.ts';

/** What Node has of its own. */
export const parts: RuntimeParts = {
  name: 'node',
  version: process.versions.node,
  random,
  kernel: async () => (await import('./kernel.ts')).kernel,
  transports: async () => (await import('../http/undici-transport.ts')).undiciTransports(),
};
