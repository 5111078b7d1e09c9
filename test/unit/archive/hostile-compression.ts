/** Hostile compressed layers (H60 to H65). */
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
  'a gzip bomb of zeros stops at the size allowed (H60)': {
    blobs: () => [gz(new Uint8Array(40_000_000))],
    job: { maxBytes: 10_000_000 },
    fails: /ResourceExhausted: the layer expands to more than 10000000 bytes/,
  },
  'the first GiB is free, whatever the ratio (H60)': {
    blobs: () => [zst(concat([one, new Uint8Array(4_000_000)]))],
    job: { maxRatio: 1 },
    want: F,
  },
  'holes count (H60)': {
    blobs: () => [concat([pax(sparseRecords(2 * GIB, '0,1')), member({ name: 's' }, bytes('x')), END])],
    fails: /ResourceExhausted: the layer's files exceed the limit/,
  },
  'a hole as large as numbers go (H60)': {
    blobs: () => [concat([pax(sparseRecords(Number.MAX_SAFE_INTEGER, '0,1')), member({}, bytes('x')), END])],
    fails: /ResourceExhausted/,
    job: { maxBytes: 2 ** 40 },
  },
  'thousands of empty members (H61)': {
    blobs: () => [concat([...Array.from({ length: 1000 }, () => gz(new Uint8Array(0))), gz(one)])],
    want: F,
  },
  'zstd said to be gzip, plain, and gzip said to be zstd (H62)': {
    blobs: () => [zst(one), one, gz(layer(file('g', 'g')))],
    want: ['f=f', 'g=g'],
  },
  'xz and bzip2 are no compression of ours (H62)': {
    blobs: () => [concat([Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), new Uint8Array(600).fill(7)])],
    fails: /InvalidArgument: .*reading the header at byte 0/,
  },
  'a media type that we do not know (H62)': {
    blobs: () => [one],
    job: { mediaType: 'application/vnd.oci.image.layer.v1.tar+xz' },
    fails: /NotImplemented: no processor for media-type/,
  },
  'bytes after the last gzip member (H63)': { blobs: () => [SIGNED(gz(one))], want: F },
  'a gzip header with every field, long (H63)': {
    blobs: () => {
      const [head, body] = [gz(one).slice(0, 10), gz(one).slice(10)];
      head[3] = 0x1c;
      const extra = concat([Uint8Array.of(0xff, 0xff), new Uint8Array(65_535).fill(1)]);
      const name = bytes(`${'n'.repeat(70_000)}\0`);
      return [concat([head, extra, name, bytes('comment\0'), body])];
    },
    want: F,
  },
  'a cut trailer (H63)': { blobs: () => [gz(one).subarray(0, -3)], fails: /DataLoss: .*ends in the middle/ },
  'a wrong CRC (H63)': {
    blobs: () => {
      const bad = gz(one);
      bad[bad.length - 5] = (bad.at(-5) ?? 0) ^ 1;
      return [bad];
    },
    fails: /DataLoss: .*CRC-32/,
  },
  'a window of 2 GiB (H64)': {
    blobs: () => [frame(0x00, (31 - 10) << 3, 0x09, 0x00, 0x00, 0x61)],
    fails: /ResourceExhausted: .*window of 2147483648 bytes, the limit is 134217728/,
  },
  'skippable frames only (H64)': {
    blobs: () => [Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2)],
    want: [],
  },
  'several frames, skippable ones between (H64)': {
    blobs: () => {
      const skippable = Uint8Array.of(0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9);
      return [concat([skippable, zst(one.subarray(0, 700)), skippable, zst(one.subarray(700)), skippable])];
    },
    want: F,
  },
  'a dictionary (H64)': {
    blobs: () => [frame(0x21, 7, 1, 0x09, 0, 0, 0x61)],
    fails: /NotImplemented: .*dictionary 7/,
  },
  'bytes after the last frame (H64)': { blobs: () => [SIGNED(zst(one))], fails: /DataLoss/ },
  'no program of the image or of the working directory is run (H65)': {
    blobs: (out) => {
      const script = `#!/bin/sh\necho run > ${out}/canary\n`;
      const tools = ['gzip', 'unpigz', 'zstd', 'mknod', 'setfattr', 'touch', 'tar'];
      return [layer(...tools.map((name) => file(`bin/${name}`, script, { mode: 0o755 })), fifo('p'))];
    },
    check: ({ lines }) => assert.equal(lines.length, 9),
  },
};
