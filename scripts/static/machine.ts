/** What differs between processors: relocations (the psABI of each), the place of thread-local storage, the compiler. */

export interface Machine {
  /** Node's word, in names of packages and artefacts. */
  readonly name: 'x64' | 'arm64';
  /** Prefix of the compiler's programs. */
  readonly prefix: string;
  /** Packages with its compiler, and with the assembler where it has one of its own. */
  readonly debianPackage: string;
  /** Relocation types, by what they ask for. */
  readonly relocation: {
    readonly absolute: number;
    readonly globalData: number;
    readonly jumpSlot: number;
    readonly copy: number;
    readonly threadOffset: number;
  };
  /** The largest page that a kernel may have, in bytes: segments are aligned to the page. */
  readonly pageSize: number;
  /**
   * Node's variables are at fixed offsets of the thread pointer, as the executable's are by the ABI: at the end of the
   * static block (x86-64), or 16 bytes after the thread pointer (arm64).
   */
  readonly threadStorage: 'last' | 'first';
  /** Sources of ISA-L's inflate for this processor, below isa-l/: assembly of nasm (.asm) or of the compiler (.S). */
  readonly inflate: readonly string[];
  /** For `.section` in assembly: how types are written. */
  readonly typePrefix: '@' | '%';
}

export const MACHINES: Readonly<Record<Machine['name'], Machine>> = {
  x64: {
    name: 'x64',
    prefix: '',
    debianPackage: 'g++ nasm',
    relocation: { absolute: 1, globalData: 6, jumpSlot: 7, copy: 5, threadOffset: 18 },
    pageSize: 4096,
    threadStorage: 'last',
    inflate: [
      'igzip/igzip_inflate_multibinary.asm',
      'igzip/igzip_decode_block_stateless_01.asm',
      'igzip/igzip_decode_block_stateless_04.asm',
      'igzip/rfc1951_lookup.asm',
      'crc/crc32_gzip_refl_by8.asm',
    ],
    typePrefix: '@',
  },
  arm64: {
    name: 'arm64',
    prefix: 'aarch64-linux-gnu-',
    debianPackage: 'g++-aarch64-linux-gnu',
    relocation: { absolute: 257, globalData: 1025, jumpSlot: 1026, copy: 1024, threadOffset: 1030 },
    pageSize: 65536,
    threadStorage: 'first',
    inflate: ['igzip/aarch64/igzip_decode_huffman_code_block_aarch64.S'],
    typePrefix: '%',
  },
};
