/** Compiles and links the host program for one executable of Node. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { definedSymbol, type Elf, only, PT, readElf } from './elf.ts';
import { header, tables, threadImage } from './generate.ts';
import { type Imports, readImports, threadBlockSize } from './imports.ts';
import type { Machine } from './machine.ts';

/** Where the host is, far from Node and from what --build-sea adds. */
export const OWN_BASE = 0x20000000;

/** False when the compiler or assembler of a machine, or one of the static libraries that the host takes, is not installed. */
export function hasCompiler({ prefix, inflate }: Machine): boolean {
  const flags = ['-static', '-x', 'c++', '-', '-o', '/dev/null', ...LIBRARIES];
  try {
    execFileSync(`${prefix}g++`, flags, { input: 'int main() {}', stdio: ['pipe', 'ignore', 'ignore'] });
    if (inflate.some(isNasm)) execFileSync('nasm', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const isNasm = (source: string): boolean => source.endsWith('.asm');

const LIBRARIES = ['-latomic', '-lm'];

/** `scratch`: a directory for sources and objects. Returns the host, which is a static executable. */
export function linkHost(node: Elf, machine: Machine, scratch: string): Elf {
  mkdirSync(scratch, { recursive: true });
  const path = (name: string): string => join(scratch, name);
  const imports = readImports(node, machine);
  writeFileSync(path('host.h'), header(node, OWN_BASE));
  writeFileSync(path('tables.c'), tables(imports));
  writeFileSync(path('tls.s'), threadImage(node, machine));
  writeFileSync(path('host.ld'), linkerScript(node, machine));
  const compile = (flags: readonly string[], source: string, object: string): void =>
    run(machine, 'gcc', ['-O2', ...flags, '-I', scratch, '-c', source, '-o', path(object)]);
  const warnings = ['-Wall', '-Wextra', '-Werror', '-fno-stack-protector', '-fno-builtin'];
  compile(warnings, join(import.meta.dirname, 'host.c'), 'host.o');
  compile(['-Wall', '-Wextra', '-Werror'], join(import.meta.dirname, 'files.c'), 'files.o');
  compile(['-w'], path('tables.c'), 'tables.o');
  compile([], path('tls.s'), 'tls.o');
  const decoder = compileDecoder(machine, path, compile);
  run(machine, 'g++', [
    ...['-static', '-no-pie', '-o', path('host')],
    ...linkerFlags(imports, machine, path('host.ld')),
    ...FROM_NODE.map((name) => `-Wl,--defsym=${name}=${addressIn(node, name)}`),
    ...['host.o', 'files.o', 'tables.o', 'tls.o', ...decoder].map(path),
    ...LIBRARIES,
  ]);
  const host = readElf(readFileSync(path('host')));
  checkThreads(host, node, machine);
  return host;
}

/** Functions of Node's executable that decoder.c calls. */
const FROM_NODE: readonly string[] = [
  ...['createDCtx', 'freeDCtx', 'DCtx_setParameter', 'decompressStream', 'isError', 'getErrorCode'].map(
    (name) => `ZSTD_${name}`,
  ),
  'crc32',
];

function addressIn(node: Elf, name: string): string {
  return `0x${definedSymbol(node, new RegExp(`^${name}$`)).value.toString(16)}`;
}

/** decoder.c and the inflate of ISA-L. Returns the names of the objects. */
function compileDecoder(
  machine: Machine,
  path: (name: string) => string,
  compile: (flags: readonly string[], source: string, object: string) => void,
): string[] {
  const isal = join(import.meta.dirname, 'isa-l');
  const folders = ['include', 'igzip', 'igzip/aarch64'].flatMap((name) => ['-I', `${join(isal, name)}/`]);
  compile(['-Wall', '-Wextra', '-Werror', ...folders], join(import.meta.dirname, 'decoder.c'), 'decoder.o');
  const sources = ['igzip/igzip_inflate.c', ...machine.inflate];
  for (const source of sources) {
    const [from, object] = [join(isal, source), objectOf(source)];
    // nasm writes the name of the source into the object, as that was given.
    if (isNasm(source))
      execFileSync('nasm', ['-f', 'elf64', '-Iinclude/', '-Iigzip/', source, '-o', resolve(path(object))], {
        cwd: isal,
      });
    else compile(['-w', ...(source.endsWith('.S') ? ['-D__ASSEMBLY__'] : []), ...folders], from, object);
  }
  return ['decoder.o', ...sources.map(objectOf)];
}

const objectOf = (source: string): string => basename(source).replace(/\.\w+$/, '.o');

function run({ prefix }: Machine, program: string, args: readonly string[]): void {
  execFileSync(`${prefix}${program}`, args, { stdio: ['ignore', 'inherit', 'pipe'] });
}

function linkerFlags(imports: Imports, machine: Machine, script: string): string[] {
  const page = machine.pageSize;
  return [
    `-T,${script}`,
    // host.c's definitions come first and win over libc's.
    '-z,muldefs',
    ...imports.placed.map(({ name, where }) => `--defsym=${name}=0x${where.toString(16)}`),
    `-Ttext-segment=0x${OWN_BASE.toString(16)}`,
    '-z,norelro',
    ...[`-z,max-page-size=${page}`, `-z,common-page-size=${page}`],
    '--eh-frame-hdr',
    '--build-id=none',
  ].map((flag) => `-Wl,${flag}`);
}

/**
 * The linker's own script, with one section of thread-local variables: Node's block stands where Node's code was
 * compiled to find it.
 */
function linkerScript(node: Elf, machine: Machine): string {
  const options = ['-static', '-no-pie', '-nostdlib', '-Wl,--verbose'];
  const output = execFileSync(`${machine.prefix}gcc`, options, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    // With nothing to link the linker prints the script, then fails or warns.
  });
  const script = output.split(/^={10,}$/m)[1] ?? '';
  const own = '*(.tdata .tdata.* .gnu.linkonce.td.*)';
  const zeroed = '*(.tbss .tbss.* .gnu.linkonce.tb.*) *(.tcommon)';
  const gap = (64 - (threadBlockSize(node) % 64)) % 64;
  const body =
    machine.threadStorage === 'last'
      ? `${own} ${zeroed} . = ALIGN(64); . = . + ${gap}; *(.node_tls)`
      : `*(.node_tls) ${own} ${zeroed}`;
  const align = machine.threadStorage === 'last' ? 64 : 16;
  const changed = script
    .replace(/^\s*\.tbss\s*:.*$/m, '')
    .replace(
      /^\s*\.tdata\s*:\s*\{[^}]*\}/m,
      `.tdata : ALIGN(${align}) { PROVIDE_HIDDEN (__tdata_start = .); ${body} }`,
    );
  if (!changed.includes('.node_tls') || changed.includes('.tbss :'))
    throw new Error(`The linker script of ${machine.prefix}ld is not as expected`);
  return changed;
}

/** An error when Node's code would find other variables than its own. */
function checkThreads(host: Elf, node: Elf, machine: Machine): void {
  const { vaddr, memSize, align } = only(host, PT.tls);
  const size = threadBlockSize(node);
  const right =
    machine.threadStorage === 'last' ? (vaddr + memSize) % align === 0 && memSize >= size : align <= 16;
  if (!right)
    throw new Error(
      `Thread-local storage is misplaced: ${memSize} bytes at 0x${vaddr.toString(16)}, aligned to ${align}`,
    );
}
