/** Puts the host program and Node's executable with its embedded resource into one file. */
import {
  definedSymbol,
  dynamicTablesEnd,
  type Elf,
  HEADER_SIZE,
  PROGRAM_HEADER_SIZE,
  type ProgramHeader,
  PT,
  writeHeader,
} from './elf.ts';
import { cutIcuData } from './icu.ts';
import type { Machine } from './machine.ts';

/** `--build-sea` adds its segments above this address, Node's own are below. */
const ADDED_BASE = 0x10000000;

/** A file under construction: its bytes, and the program headers that it will have. */
class Image {
  bytes: Buffer;
  readonly headers: ProgramHeader[] = [];
  readonly #pageSize: number;

  constructor(bytes: Buffer, pageSize: number) {
    this.bytes = bytes;
    this.#pageSize = pageSize;
  }

  /** Appends data that is to be at `vaddr`: the kernel maps whole pages. Returns the offset in the file. */
  append(data: Buffer, vaddr: number): number {
    const end = this.bytes.length;
    const page = this.#pageSize;
    const at = end + ((((vaddr - end) % page) + page) % page);
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(at - end), data]);
    return at;
  }
}

/** The executable: Node's segments, what --build-sea added, the host; the host's entry. */
export function merge(node: Elf, host: Elf, machine: Machine): Buffer {
  const image = nodeSegments(node, machine.pageSize);
  appendAdded(node, image, machine.pageSize);
  const kept = node.headers.filter(({ type }) => type === PT.ehFrame || type === PT.stack);
  image.headers.push(...kept);
  appendHost(host, image);
  return finish(node, host, image, machine.pageSize);
}

const loads = (elf: Elf): ProgramHeader[] => elf.headers.filter(({ type }) => type === PT.load);

/** Node's segments stay where they are. Zeros at the end of the last are left to the kernel. */
function nodeSegments(node: Elf, pageSize: number): Image {
  const holdsHeaders = ({ offset, fileSize }: ProgramHeader): boolean =>
    node.headersAt > HEADER_SIZE && offset <= node.headersAt && node.headersAt < offset + fileSize;
  const own = loads(node).filter((one) => one.vaddr < ADDED_BASE && !holdsHeaders(one));
  const last = own.at(-1);
  if (last === undefined || own[0]?.offset !== 0)
    throw new Error('Node has no segment at the start of its file');
  let end = last.offset + last.fileSize;
  while (node.bytes[end - 1] === 0) end--;
  const image = new Image(Buffer.from(node.bytes.subarray(0, end)), pageSize);
  image.headers.push(...own.slice(0, -1), { ...last, fileSize: end - last.offset });
  return image;
}

/** The embedded resource, and the note by which Node finds the resource. */
function appendAdded(node: Elf, image: Image, pageSize: number): void {
  for (const segment of loads(node).filter(({ vaddr }) => vaddr >= ADDED_BASE)) {
    const data = node.bytes.subarray(segment.offset, segment.offset + segment.fileSize);
    const offset = image.append(data, segment.vaddr);
    image.headers.push({ ...segment, offset, align: pageSize });
    const within = ({ type, vaddr }: ProgramHeader): boolean =>
      type === PT.note && vaddr >= segment.vaddr && vaddr < segment.vaddr + segment.memSize;
    for (const note of node.headers.filter(within))
      image.headers.push({ ...note, flags: 4, offset: offset + note.vaddr - segment.vaddr, align: 4 });
  }
}

function appendHost(host: Elf, image: Image): void {
  const [first] = loads(host);
  if (first === undefined) throw new Error('The host has no segment');
  const base = image.append(host.bytes, first.vaddr);
  const wanted: readonly number[] = [PT.load, PT.tls, PT.ehFrame];
  for (const one of host.headers.filter(({ type }) => wanted.includes(type)))
    image.headers.push({ ...one, offset: one.offset + base });
}

/** Program headers go back behind the file's header, over tables that only a dynamic linker reads; the rest of these is zeroed. */
function finish(node: Elf, host: Elf, image: Image, pageSize: number): Buffer {
  const { value: vaddr, size } = definedSymbol(node, /^icudt\d+_dat$/);
  const { bytes, headers: unsorted } = cutIcuData(image, { vaddr, size }, pageSize);
  const isLoad = ({ type }: ProgramHeader): boolean => type === PT.load;
  const headers = [
    ...unsorted.filter((one) => !isLoad(one)),
    ...unsorted.filter(isLoad).sort((a, b) => a.vaddr - b.vaddr),
  ];
  const dead = dynamicTablesEnd(node);
  if (HEADER_SIZE + headers.length * PROGRAM_HEADER_SIZE > dead)
    throw new Error('The program headers do not fit over the tables of the dynamic linker');
  bytes.fill(0, HEADER_SIZE, dead);
  for (const [at, one] of headers.entries()) writeHeader(bytes, HEADER_SIZE + at * PROGRAM_HEADER_SIZE, one);
  bytes.writeBigUInt64LE(BigInt(host.entry), 24);
  bytes.writeBigUInt64LE(BigInt(HEADER_SIZE), 32);
  // No section table.
  bytes.writeBigUInt64LE(0n, 40);
  bytes.writeUInt16LE(headers.length, 56);
  bytes.writeUInt16LE(64, 58);
  bytes.writeUInt32LE(0, 60);
  return bytes;
}
