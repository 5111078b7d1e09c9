/** Sorts what Node's executable asks of a dynamic linker into what the host does at its start. */
import { type Elf, only, PT, type Relocation, relocations } from './elf.ts';
import type { Machine } from './machine.ts';

/** Eight bytes to set, to the address of an import plus `addend`, or to the constant `addend`. */
export interface Fixup {
  readonly where: number;
  readonly symbol?: string;
  readonly addend: number;
}

export interface Imports {
  readonly fixups: readonly Fixup[];
  /** Objects of libc and libstdc++ that Node has a copy of, to be filled at the start. Bytes. */
  readonly copies: readonly { readonly name: string; readonly where: number; readonly size: number }[];
  /** Objects that the libraries go on changing: the linker puts them at Node's addresses. */
  readonly placed: readonly { readonly name: string; readonly where: number }[];
  /** Offsets of thread-local variables of the libraries. */
  readonly threadFixups: readonly Required<Fixup>[];
}

/** Live objects, with their other names. */
const LIVE: ReadonlyMap<string, readonly string[]> = new Map([
  ['__environ', ['__environ', 'environ', '_environ']],
  ['__timezone', ['__timezone', 'timezone']],
  ['__tzname', ['__tzname', 'tzname']],
  ['__libc_stack_end', ['__libc_stack_end']],
  ['_ZSt4cout', ['_ZSt4cout']],
  ['_ZSt4cerr', ['_ZSt4cerr']],
  ['_ZNSt5ctypeIcE2idE', ['_ZNSt5ctypeIcE2idE']],
  ['_ZNSt7__cxx117collateIcE2idE', ['_ZNSt7__cxx117collateIcE2idE']],
]);

/** Weak imports that glibc 2.36 and libstdc++ 12 do not have. Node asks whether they are there. */
const ABSENT: ReadonlySet<string> = new Set([
  ...['__gmon_start__', '_ITM_deregisterTMCloneTable', '_ITM_registerTMCloneTable'],
  ...['pidfd_getpid', 'pidfd_spawnp', 'posix_spawn_file_actions_addchdir'],
  ...['begin', 'end'].flatMap((at) => [`ZSTD_trace_compress_${at}`, `ZSTD_trace_decompress_${at}`]),
  '_ZTHN2v88internal12trap_handler16TrapHandlerGuard10is_active_E',
]);

/** Size of Node's thread-local block with its padding, in bytes. */
export function threadBlockSize(node: Elf): number {
  return (only(node, PT.tls).memSize + 7) & ~7;
}

/** An error for a relocation of a type that nobody has looked at. */
export function readImports(node: Elf, machine: Machine): Imports {
  const all = relocations(node);
  const { absolute, globalData, jumpSlot, copy, threadOffset } = machine.relocation;
  const known = new Set([absolute, globalData, jumpSlot, copy, threadOffset]);
  const unknown = all.find(({ type }) => !known.has(type));
  if (unknown !== undefined)
    throw new Error(`relocation ${unknown.type} of ${unknown.symbol.name}: unknown on ${machine.name}`);
  const ofType = (...types: number[]) => all.filter(({ type }) => types.includes(type));
  const threads = ofType(threadOffset);
  return {
    fixups: [
      ...ofType(absolute, globalData, jumpSlot).map(fixup),
      ...threads.filter(({ symbol }) => !symbol.imported).map((one) => ownThreadFixup(one, node, machine)),
    ].sort((a, b) => a.where - b.where),
    copies: ofType(copy)
      .filter(({ symbol }) => !LIVE.has(symbol.name))
      .map(({ where, symbol }) => ({ name: symbol.name, where, size: symbol.size })),
    placed: ofType(copy).flatMap(({ where, symbol }) =>
      (LIVE.get(symbol.name) ?? []).map((name) => ({ name, where })),
    ),
    threadFixups: threads
      .filter(({ symbol }) => symbol.imported)
      .map(({ where, symbol, addend }) => ({ where, symbol: symbol.name, addend })),
  };
}

function fixup({ where, symbol, addend }: Relocation): Fixup {
  if (!symbol.imported) return { where, addend: symbol.value + addend };
  return ABSENT.has(symbol.name) ? { where, addend: 0 } : { where, symbol: symbol.name, addend };
}

/** The offset of a variable of Node from the thread pointer (Drepper, ELF Handling For Thread-Local Storage, variants I and II). */
function ownThreadFixup({ where, symbol, addend }: Relocation, node: Elf, machine: Machine): Fixup {
  const base = machine.threadStorage === 'last' ? -threadBlockSize(node) : 16;
  return { where, addend: base + symbol.value + addend };
}
