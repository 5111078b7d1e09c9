/** Where the runtimes and the repository are. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository: string = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const node26: string = join(repository, 'node_modules/.bin/node');
export const node22: string = join(repository, 'node_modules/runtime-node-22/bin/node');
export const deno: string = join(repository, 'node_modules/.bin/deno');
