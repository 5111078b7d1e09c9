/** Reads ELF files of 64 bits, little-endian (elf(5)): program headers, the dynamic table, symbols, relocations. */

export const PT = {
  load: 1,
  dynamic: 2,
  interp: 3,
  note: 4,
  phdr: 6,
  tls: 7,
  ehFrame: 0x6474e550,
  stack: 0x6474e551,
  relro: 0x6474e552,
} as const;

/** Tags of the dynamic table. */
const DT = { pltRelSize: 2, strings: 5, symbols: 6, rela: 7, relaSize: 8, pltRel: 23 } as const;

/** Sizes of the structures in a file, in bytes. */
export const HEADER_SIZE = 64;
export const PROGRAM_HEADER_SIZE = 56;
const SYMBOL_SIZE = 24;
const RELA_SIZE = 24;

export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly vaddr: number;
  readonly fileSize: number;
  readonly memSize: number;
  readonly align: number;
}

export interface Symbol {
  readonly name: string;
  readonly value: number;
  readonly size: number;
  /** Another module defines the symbol. */
  readonly imported: boolean;
}

export interface Relocation {
  /** The address of the eight bytes to set. */
  readonly where: number;
  readonly type: number;
  readonly symbol: Symbol;
  readonly addend: number;
}

export interface Elf {
  readonly bytes: Buffer;
  readonly entry: number;
  /** Where the program headers are in the file. */
  readonly headersAt: number;
  readonly headers: readonly ProgramHeader[];
}

export function readElf(bytes: Buffer): Elf {
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error('not an ELF file of 64 bits, little-endian');
  }
  const headersAt = long(bytes, 32);
  const count = bytes.readUInt16LE(56);
  const headers = Array.from({ length: count }, (_, at) =>
    readHeader(bytes, headersAt + at * PROGRAM_HEADER_SIZE),
  );
  return { bytes, entry: long(bytes, 24), headersAt, headers };
}

/** The one program header of a type; an error when there is none or more. */
export function only(elf: Elf, type: number): ProgramHeader {
  const [found, ...more] = elf.headers.filter((header) => header.type === type);
  if (found === undefined || more.length > 0)
    throw new Error(`${more.length + (found ? 1 : 0)} program headers of type ${type}, want 1`);
  return found;
}

/** Where the bytes of an address are in the file. */
export function offsetOf(elf: Elf, address: number): number {
  const segment = elf.headers.find(
    ({ type, vaddr, fileSize }) => type === PT.load && vaddr <= address && address < vaddr + fileSize,
  );
  if (segment === undefined) throw new Error(`address 0x${address.toString(16)} is in no segment`);
  return address - segment.vaddr + segment.offset;
}

/** Every relocation that the dynamic linker would apply. */
export function relocations(elf: Elf): Relocation[] {
  const table = dynamicTable(elf);
  const symbolAt = symbolReader(elf, table);
  const groups = [
    [tag(table, DT.rela), tag(table, DT.relaSize)],
    [tag(table, DT.pltRel), tag(table, DT.pltRelSize)],
  ] as const;
  return groups.flatMap(([address, size]) => {
    const start = offsetOf(elf, address);
    return Array.from({ length: size / RELA_SIZE }, (_, at) =>
      readRelocation(elf.bytes, start + at * RELA_SIZE, symbolAt),
    );
  });
}

/** A symbol that the executable defines for others. */
export function definedSymbol(elf: Elf, name: RegExp): Symbol {
  const table = dynamicTable(elf);
  const symbolAt = symbolReader(elf, table);
  // Linkers put the strings right behind the symbols; no table tells how many symbols there are.
  const count = (tag(table, DT.strings) - tag(table, DT.symbols)) / SYMBOL_SIZE;
  for (let at = 0; at < count; at++) {
    const symbol = symbolAt(at);
    if (!symbol.imported && name.test(symbol.name)) return symbol;
  }
  throw new Error(`no symbol matches ${name}`);
}

/** The end of the last table that only a dynamic linker reads; these tables follow the program headers. */
export function dynamicTablesEnd(elf: Elf): number {
  const table = dynamicTable(elf);
  return offsetOf(elf, tag(table, DT.pltRel)) + tag(table, DT.pltRelSize);
}

export function writeHeader(into: Buffer, at: number, header: ProgramHeader): void {
  into.writeUInt32LE(header.type, at);
  into.writeUInt32LE(header.flags, at + 4);
  const { offset, vaddr, fileSize, memSize, align } = header;
  for (const [index, value] of [offset, vaddr, vaddr, fileSize, memSize, align].entries()) {
    into.writeBigUInt64LE(BigInt(value), at + 8 + index * 8);
  }
}

function readHeader(bytes: Buffer, at: number): ProgramHeader {
  return {
    type: bytes.readUInt32LE(at),
    flags: bytes.readUInt32LE(at + 4),
    offset: long(bytes, at + 8),
    vaddr: long(bytes, at + 16),
    fileSize: long(bytes, at + 32),
    memSize: long(bytes, at + 40),
    align: long(bytes, at + 48),
  };
}

function dynamicTable(elf: Elf): Map<number, number> {
  const { offset, fileSize } = only(elf, PT.dynamic);
  const table = new Map<number, number>();
  for (let at = offset; at < offset + fileSize; at += 16) {
    const name = long(elf.bytes, at);
    if (name === 0) break;
    table.set(name, long(elf.bytes, at + 8));
  }
  return table;
}

function tag(table: ReadonlyMap<number, number>, name: number): number {
  const value = table.get(name);
  if (value === undefined) throw new Error(`the dynamic table lacks entry ${name}`);
  return value;
}

function symbolReader(elf: Elf, table: ReadonlyMap<number, number>): (index: number) => Symbol {
  const { bytes } = elf;
  const symbols = offsetOf(elf, tag(table, DT.symbols));
  const strings = offsetOf(elf, tag(table, DT.strings));
  return (index) => {
    const at = symbols + index * SYMBOL_SIZE;
    const start = strings + bytes.readUInt32LE(at);
    return {
      name: bytes.toString('latin1', start, bytes.indexOf(0, start)),
      value: long(bytes, at + 8),
      size: long(bytes, at + 16),
      imported: bytes.readUInt16LE(at + 6) === 0,
    };
  };
}

function readRelocation(bytes: Buffer, at: number, symbolAt: (index: number) => Symbol): Relocation {
  return {
    where: long(bytes, at),
    type: bytes.readUInt32LE(at + 8),
    symbol: symbolAt(bytes.readUInt32LE(at + 12)),
    addend: Number(bytes.readBigInt64LE(at + 16)),
  };
}

function long(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}
