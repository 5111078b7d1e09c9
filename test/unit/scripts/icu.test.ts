import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProgramHeader, PT } from '../../../scripts/static/elf.ts';
import { cutIcuData } from '../../../scripts/static/icu.ts';

const PAGE = 4096;
const VADDR = 0x400000;

/** A package of items by name, each of `size` bytes that are all the same letter. */
function makePackage(items: readonly { readonly name: string; readonly size: number }[]): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32, 0);
  header.writeUInt16BE(0xda27, 2);
  header.write('CmnD', 12, 'latin1');
  const names = Buffer.concat(items.map(({ name }) => Buffer.from(`${name}\0`)));
  const table = Buffer.alloc(4 + items.length * 8);
  table.writeUInt32LE(items.length);
  let name = table.length;
  let data = Math.ceil((table.length + names.length) / 16) * 16;
  const filler = Buffer.alloc(data - table.length - names.length);
  for (const [at, item] of items.entries()) {
    table.writeUInt32LE(name, 4 + at * 8);
    table.writeUInt32LE(data, 8 + at * 8);
    name += item.name.length + 1;
    data += item.size;
  }
  const contents = items.map((item, at) => Buffer.alloc(item.size, 97 + at));
  return Buffer.concat([header, table, names, filler, ...contents]);
}

function load(offset: number, vaddr: number, size: number): ProgramHeader {
  return { type: PT.load, flags: 4, offset, vaddr, fileSize: size, memSize: size, align: PAGE };
}

/** The bytes that a process would find at an address. */
function at(
  bytes: Buffer,
  headers: readonly ProgramHeader[],
  vaddr: number,
  length: number,
): Buffer | undefined {
  const one = headers.find((header) => header.vaddr <= vaddr && vaddr < header.vaddr + header.fileSize);
  return one && bytes.subarray(one.offset + vaddr - one.vaddr, one.offset + vaddr - one.vaddr + length);
}

const ITEMS = [
  { name: 'icudt78l/curr/de.res', size: 3 * PAGE },
  { name: 'icudt78l/curr/en.res', size: 160 },
  { name: 'icudt78l/gb18030.cnv', size: 5 * PAGE },
  { name: 'icudt78l/root.res', size: 320 },
];
const icu = makePackage(ITEMS);
const before = Buffer.from('code before '.repeat(100));
const after = Buffer.from('data after '.repeat(900));
const file = Buffer.concat([
  before,
  icu,
  after,
  Buffer.alloc((-(before.length + icu.length + after.length) % PAGE) + PAGE),
  Buffer.from('next'),
]);
const next = file.length - 4;
const headers = [load(0, VADDR, next), load(next, VADDR + 0x100000 + (next % PAGE), 4)];
const result = cutIcuData({ bytes: file, headers }, { vaddr: VADDR + before.length, size: icu.length }, PAGE);

test('what is kept of ICU has its content under its name, what is left out has no entry', () => {
  const start = VADDR + before.length;
  const toc = at(result.bytes, result.headers, start + 32, 4096) ?? Buffer.alloc(0);
  assert.equal(toc.readUInt32LE(0), 2);
  const found = [0, 1].map((index) => {
    const name = toc.readUInt32LE(4 + index * 8);
    const data = toc.readUInt32LE(8 + index * 8);
    assert.equal(data % 16, 0, 'items begin on multiples of 16 bytes');
    return [toc.toString('latin1', name, toc.indexOf(0, name)), String.fromCharCode(toc[data] ?? 0)];
  });
  assert.deepEqual(found, [
    ['icudt78l/curr/en.res', 'b'],
    ['icudt78l/root.res', 'd'],
  ]);
});

test('all else is at its address, and the file is smaller by whole pages', () => {
  assert.equal((file.length - result.bytes.length) % PAGE, 0);
  assert.ok(file.length - result.bytes.length > 6 * PAGE);
  const start = VADDR + before.length + icu.length;
  assert.deepEqual(at(result.bytes, result.headers, VADDR, before.length), before);
  assert.deepEqual(at(result.bytes, result.headers, start, after.length), after);
  assert.equal(at(result.bytes, result.headers, headers[1]?.vaddr ?? 0, 4)?.toString(), 'next');
  for (const { offset, vaddr } of result.headers) assert.equal(offset % PAGE, vaddr % PAGE);
});

test('data that is no package of ICU is an error', () => {
  const wrong = { bytes: Buffer.alloc(8192), headers: [load(0, VADDR, 8192)] };
  assert.throws(() => cutIcuData(wrong, { vaddr: VADDR, size: 4096 }, PAGE), /not a package of ICU data/);
});
