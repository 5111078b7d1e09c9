/** Makes an executable of Node static: `makeStatic(input, output, machine, scratch)`. README.md says how that works. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { readElf } from './elf.ts';
import { linkHost } from './link.ts';
import type { Machine } from './machine.ts';
import { merge } from './merge.ts';

/** `input`: what `node --build-sea` made. Equal inputs and compilers give equal bytes. */
export function makeStatic(input: string, output: string, machine: Machine, scratch: string): void {
  const node = readElf(readFileSync(input));
  writeFileSync(output, merge(node, linkHost(node, machine, scratch), machine));
  chmodSync(output, 0o755);
}
