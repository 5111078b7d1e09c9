/**
 * Cuts ICU's data (33 MB of locales, character sets and dictionaries) down to what English and UTC-and-zones need, and takes
 * the rest out of the file and of the address space. Format: ICU's CmnD package (unicode-org.github.io/icu/userguide/icu_data):
 * a header, a table of {name, data} offsets sorted by name, the items on multiples of 16 bytes.
 */
import type { ProgramHeader } from './elf.ts';
import { PT } from './elf.ts';

interface Item {
  readonly name: string;
  readonly data: Buffer;
}

interface Package {
  readonly header: Buffer;
  readonly items: readonly Item[];
}

/**
 * What hawser and Node's own code meet: root and English of every kind, the data that has no locale (plurals, zones,
 * normalisation), no converters, no dictionaries, no transliteration.
 */
function isKept(name: string): boolean {
  const [file = '', folder = ''] = name.split('/').slice(1).reverse();
  if (folder === 'translit' || folder === 'rbnf') return file === 'root.res' || file === 'res_index.res';
  if (folder === 'brkitr') return /^(root|en|res_index)\.res$|\.brk$/.test(file);
  if (/\.(icu|nrm|cfu|spp)$/.test(file)) return true;
  if (!file.endsWith('.res')) return false;
  const locale = /^([a-z]{2,3})(_[A-Za-z0-9_]+)?\.res$/.exec(file);
  return locale === null || ['en', 'en_US'].includes(file.slice(0, -'.res'.length));
}

function readPackage(bytes: Buffer): Package {
  const headerSize = bytes.readUInt16LE(0);
  const isPackage = bytes.toString('latin1', 12, 16) === 'CmnD' && bytes.readUInt16BE(2) === 0xda27;
  if (!isPackage) throw new Error('not a package of ICU data');
  const toc = bytes.subarray(headerSize);
  const count = toc.readUInt32LE(0);
  const start = (at: number): number => (at === count ? toc.length : toc.readUInt32LE(8 + at * 8));
  const items = Array.from({ length: count }, (_, at) => {
    const name = toc.readUInt32LE(4 + at * 8);
    return {
      name: toc.toString('latin1', name, toc.indexOf(0, name)),
      data: toc.subarray(start(at), start(at + 1)),
    };
  });
  return { header: bytes.subarray(0, headerSize), items };
}

function writePackage({ header, items }: Package): Buffer {
  const names = items.map(({ name }) => Buffer.from(`${name}\0`, 'latin1'));
  const table = Buffer.alloc(4 + items.length * 8);
  table.writeUInt32LE(items.length);
  let at = table.length;
  for (const [index, name] of names.entries()) {
    table.writeUInt32LE(at, 4 + index * 8);
    at += name.length;
  }
  const pad = (length: number): Buffer => Buffer.alloc((16 - (length % 16)) % 16);
  const gap = pad(at);
  at += gap.length;
  const parts: Buffer[] = [];
  for (const [index, { data }] of items.entries()) {
    table.writeUInt32LE(at, 8 + index * 8);
    const filler = pad(data.length);
    parts.push(data, filler);
    at += data.length + filler.length;
  }
  return Buffer.concat([header, table, ...names, gap, ...parts]);
}

/** Where a package of ICU data is: its address, and its length in bytes. */
export interface IcuData {
  readonly vaddr: number;
  readonly size: number;
}

/** A file and its program headers, before the headers are written. */
export interface Layout {
  readonly bytes: Buffer;
  readonly headers: readonly ProgramHeader[];
}

/** The same with less ICU data: the segment that holds the data becomes two, with a hole between them. */
export function cutIcuData({ bytes, headers }: Layout, icu: IcuData, pageSize: number): Layout {
  const holds = ({ type, vaddr, fileSize }: ProgramHeader): boolean =>
    type === PT.load && vaddr <= icu.vaddr && icu.vaddr + icu.size <= vaddr + fileSize;
  const segment = headers.find(holds);
  if (segment === undefined) throw new Error('ICU data is in no segment');
  const start = icu.vaddr - segment.vaddr + segment.offset;
  const { header, items } = readPackage(bytes.subarray(start, start + icu.size));
  const small = writePackage({ header, items: items.filter(({ name }) => isKept(name)) });
  const from = start + small.length + ((pageSize - ((start + small.length) % pageSize)) % pageSize);
  const to = start + icu.size - ((start + icu.size) % pageSize);
  const gap = to - from;
  if (gap <= 0) return { bytes, headers };
  const filler = Buffer.alloc(from - start - small.length);
  const first = { ...segment, fileSize: from - segment.offset, memSize: from - segment.offset };
  const cut = to - segment.offset;
  const second = {
    ...segment,
    offset: from,
    vaddr: segment.vaddr + cut,
    fileSize: segment.fileSize - cut,
    memSize: segment.memSize - cut,
  };
  const moved = (one: ProgramHeader): ProgramHeader =>
    one.offset >= to ? { ...one, offset: one.offset - gap } : one;
  return {
    bytes: Buffer.concat([bytes.subarray(0, start), small, filler, bytes.subarray(to)]),
    headers: headers.flatMap((one) => (one === segment ? [first, second] : [moved(one)])),
  };
}
