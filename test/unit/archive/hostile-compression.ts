/** H60 to H66: compressed layers. */
import assert from 'node:assert/strict';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { fifo, file, layer } from '../../support/layer-builder.ts';
import { bytes, concat, END, member, pax } from '../../support/tar-builder.ts';
import { type Case, F, one } from './hostile-cases.ts';

const GIB = 2 ** 30;
const gz = (data: Uint8Array): Uint8Array => new Uint8Array(gzipSync(data));
const zst = (data: Uint8Array): Uint8Array => new Uint8Array(zstdCompressSync(data));
const frame = (...rest: number[]): Uint8Array => Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...rest);

const sparseRecords = (size: number, map: string) =>
  [
    ['GNU.sparse.size', String(size)],
    ['GNU.sparse.map', map],
  ] as const;

const SIGNED = (data: Uint8Array): Uint8Array => concat([data, new Uint8Array(3000), bytes('signature')]);

export const COMPRESSION: Record<string, Case> = {
  'H60 a gzip bomb of zeros stops at the size allowed': {
    blobs: () => [gz(new Uint8Array(40_000_000))],
    job: { maxBytes: 10_000_000 },
    fails: /ResourceExhausted: the layer expands to more than 10000000 bytes/,
  },
  'H60 the first GiB is free, whatever the ratio': {
    blobs: () => [zst(concat([one, new Uint8Array(4_000_000)]))],
    job: { maxRatio: 1 },
    want: F,
  },
  'H60 holes count': {
    blobs: () => [concat([pax(sparseRecords(2 * GIB, '0,1')), member({ name: 's' }, bytes('x')), END])],
    fails: /ResourceExhausted: the layer's files exceed the limit/,
  },
  'H60 a hole as large as numbers go': {
    blobs: () => [concat([pax(sparseRecords(Number.MAX_SAFE_INTEGER, '0,1')), member({}, bytes('x')), END])],
    fails: /ResourceExhausted/,
    job: { maxBytes: 2 ** 40 },
  },
  'H61 thousands of empty members': {
    blobs: () => [concat([...Array.from({ length: 1000 }, () => gz(new Uint8Array(0))), gz(one)])],
    want: F,
  },
  'H62 zstd said to be gzip, plain, and gzip said to be zstd': {
    blobs: () => [zst(one), one, gz(layer(file('g', 'g')))],
    want: ['f=f', 'g=g'],
  },
  'H62 xz and bzip2 are no compression of ours': {
    blobs: () => [concat([Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), new Uint8Array(600).fill(7)])],
    fails: /InvalidArgument: .*reading the header at byte 0/,
  },
  'H62 a media type that we do not know': {
    blobs: () => [one],
    job: { mediaType: 'application/vnd.oci.image.layer.v1.tar+xz' },
    fails: /NotImplemented: no processor for media-type/,
  },
  'H63 bytes after the last gzip member': { blobs: () => [SIGNED(gz(one))], want: F },
  'H63 a gzip header with every field, long': {
    blobs: () => {
      const [head, body] = [gz(one).slice(0, 10), gz(one).slice(10)];
      head[3] = 0x1c;
      const extra = concat([Uint8Array.of(0xff, 0xff), new Uint8Array(65_535).fill(1)]);
      const name = bytes(`${'n'.repeat(70_000)}\0`);
      return [concat([head, extra, name, bytes('comment\0'), body])];
    },
    want: F,
  },
  'H63 a cut trailer': { blobs: () => [gz(one).subarray(0, -3)], fails: /DataLoss: .*ends in the middle/ },
  'H63 a wrong CRC': {
    blobs: () => {
      const bad = gz(one);
      bad[bad.length - 5] = (bad.at(-5) ?? 0) ^ 1;
      return [bad];
    },
    fails: /DataLoss: .*CRC-32/,
  },
  'H64 a window of 2 GiB': {
    blobs: () => [frame(0x00, (31 - 10) << 3, 0x09, 0x00, 0x00, 0x61)],
    fails: /ResourceExhausted: .*window of 2147483648 bytes, the limit is 134217728/,
  },
  'H64 skippable frames only': {
    blobs: () => [Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2)],
    want: [],
  },
  'H64 several frames, skippable ones between': {
    blobs: () => {
      const skippable = Uint8Array.of(0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9);
      return [concat([skippable, zst(one.subarray(0, 700)), skippable, zst(one.subarray(700)), skippable])];
    },
    want: F,
  },
  'H64 a dictionary': {
    blobs: () => [frame(0x21, 7, 1, 0x09, 0, 0, 0x61)],
    fails: /NotImplemented: .*dictionary 7/,
  },
  'H64 bytes after the last frame': { blobs: () => [SIGNED(zst(one))], fails: /DataLoss/ },
  'H65 no program of the image or of the working directory is run': {
    blobs: (out) => {
      const script = `#!/bin/sh\necho run > ${out}/canary\n`;
      const tools = ['gzip', 'unpigz', 'zstd', 'mknod', 'setfattr', 'touch', 'tar'];
      return [layer(...tools.map((name) => file(`bin/${name}`, script, { mode: 0o755 })), fifo('p'))];
    },
    check: ({ lines }) => assert.equal(lines.length, 9),
  },
};
