/** Writes the sources that are linked with host.c: Node's relocations, the table of names for dlsym, Node's thread-local image. */
import { DECODER_SIGNATURES } from '../../src/platform/codecs/decoder-functions.ts';
import { LIBC_SIGNATURES, LINKED_FILES } from '../../src/platform/kernel/libc.ts';
import { type Elf, only, PT } from './elf.ts';
import { type Imports, threadBlockSize } from './imports.ts';
import type { Machine } from './machine.ts';

/** Node's _start calls this one through its table; the host has started libc already. */
const RENAMED: Readonly<Record<string, string>> = { __libc_start_main: 'node_libc_start_main' };

/** C symbols that the program reaches through FFI, and that are therefore linked in and found by dlsym. */
function ffiSymbols(): string[] {
  const names = Object.entries(LIBC_SIGNATURES).map(([key, { symbol }]) => symbol ?? key);
  const linked = [DECODER_SIGNATURES, LINKED_FILES].flatMap((table) => Object.keys(table));
  return [...new Set([...names, ...linked, '__errno_location'])];
}

const hex = (value: number): string => `0x${value.toString(16)}`;

/** `host.h`: the facts of this executable that host.c is compiled with. */
export function header(node: Elf, ownBase: number): string {
  const relro = only(node, PT.relro);
  const page = 4096;
  return [
    '#include <stdint.h>',
    `#define NODE_START ${hex(node.entry)}UL`,
    `#define NODE_TLS_SIZE ${hex(threadBlockSize(node))}UL`,
    `#define RELRO_START ${hex(relro.vaddr - (relro.vaddr % page))}UL`,
    `#define RELRO_END ${hex(relro.vaddr + relro.memSize - ((relro.vaddr + relro.memSize) % page))}UL`,
    `#define OWN_BASE ${hex(ownBase)}UL`,
    'struct fixup { uint32_t where; int32_t import; int64_t addend; };',
    'struct copy { uint32_t where, size; const void *from; };',
    'struct name { const char *name; void *address; };',
    '',
  ].join('\n');
}

/** `tables.c`. */
export function tables(imports: Imports): string {
  const imported = [...new Set(imports.fixups.flatMap(({ symbol }) => symbol ?? []))];
  const symbols = [...new Set([...imported, ...ffiSymbols()])].sort();
  const at = new Map(symbols.map((name, index) => [name, index]));
  const index = new Map(imported.map((name, position) => [name, position]));
  const address = (name: string): string => `symbol_${at.get(name)}`;
  const named = symbols.filter((name) => !name.startsWith('_Z'));
  return [
    '#include "host.h"',
    ...symbols.map((name) => `extern char ${address(name)}[] __asm__("${RENAMED[name] ?? name}");`),
    ...imports.copies.map(({ name }, position) => `extern char copy_${position}[] __asm__("${name}");`),
    ...list('void *const', 'imports', imported.map(address)),
    ...list(
      'const struct fixup',
      'fixups',
      imports.fixups.map(
        ({ where, symbol = '', addend }) => `{${hex(where)},${index.get(symbol) ?? -1},${addend}L}`,
      ),
    ),
    ...list(
      'const struct copy',
      'copies',
      imports.copies.map(({ where, size }, position) => `{${hex(where)},${size},copy_${position}}`),
    ),
    ...list(
      'const struct name',
      'names',
      named.map((name) => `{"${name}",${address(name)}}`),
    ),
    ...threadTable(imports),
    '',
  ].join('\n');
}

function list(type: string, name: string, items: readonly string[]): string[] {
  return [
    `${type} ${name}[] = {`,
    ...items.map((item) => `  ${item},`),
    '};',
    `const int ${name}_count = ${items.length};`,
  ];
}

/** Offsets of the libraries' thread-local variables are known once the host runs. */
function threadTable({ threadFixups }: Imports): string[] {
  return [
    ...threadFixups.map(({ symbol }, at) => `extern __thread char thread_${at} __asm__("${symbol}");`),
    'void fix_threads(char *thread) {',
    ...threadFixups.map(
      ({ where, addend }, at) =>
        `  *(int64_t *)${hex(where)}UL = (int64_t)(&thread_${at} - thread) + ${addend};`,
    ),
    '}',
  ];
}

/** `tls.s`: Node's thread-local variables in a section of their own. */
export function threadImage(node: Elf, machine: Machine): string {
  const { offset, fileSize } = only(node, PT.tls);
  const image = node.bytes.subarray(offset, offset + fileSize);
  const type = machine.typePrefix;
  return [
    `.section .node_tls,"awT",${type}progbits`,
    '.balign 8',
    '.globl node_tls',
    `.type node_tls,${type}object`,
    'node_tls:',
    ...[...image].map((byte) => `.byte ${byte}`),
    `.zero ${threadBlockSize(node) - image.length}`,
    `.section .note.GNU-stack,"",${type}progbits`,
    '',
  ].join('\n');
}
