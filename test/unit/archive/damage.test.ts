/** Damaged bytes are told as such, whatever byte it is: by a reason, and never as a failure of the system. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import { detectCompression } from '../../../src/core/codec/formats.ts';
import { kindOf, messageOf, reasonOf } from '../../../src/core/errors.ts';
import type { CodecChoice } from '../../../src/core/ports/codecs.ts';
import { createCodecs } from '../../../src/platform/codecs/native-codecs.ts';
import { dir, file, hard, layer, sym } from '../../support/layer-builder.ts';
import { isDeno } from '../../support/needs.ts';
import { sourceOf } from '../../support/streams.ts';

const TAR = layer(
  dir('d', { xattrs: { 'user.a': 'b' } }),
  file('d/f', 'content '.repeat(300)),
  sym('l', 'd/f'),
  hard('h', 'd/f'),
);

const sink = { entry: () => {}, data: () => {}, hole: () => {}, entryEnd: () => {} };

/** Reads as a layer is read: the format by the first bytes, then the archive. The expanded bytes, or the error. */
async function read(blob: Uint8Array, choice: CodecChoice): Promise<Uint8Array | { error: unknown }> {
  const tar = new TarReader(sink);
  const all: Uint8Array[] = [];
  try {
    const codec = await createCodecs().get(detectCompression(blob), choice);
    for await (const chunk of codec.decode(sourceOf(blob, 700).stream)) {
      tar.push(chunk);
      all.push(chunk.slice());
    }
    tar.end();
    return new Uint8Array(Buffer.concat(all));
  } catch (error) {
    return { error };
  }
}

const BLOBS = {
  plain: TAR,
  gzip: new Uint8Array(gzipSync(TAR)),
  zstd: new Uint8Array(zstdCompressSync(TAR)),
};

for (const [format, blob] of Object.entries(BLOBS)) {
  for (const choice of ['auto', 'portable'] as const) {
    test(`${format} (${choice}): a changed byte gives other content, or an error with the reason`, async () => {
      let told = 0;
      // Each byte of the compressed ones; of the others, those that mean something and a sample of the rest.
      for (let at = 0; at < blob.length; at += blob.length > 2000 ? 7 : 1) {
        const rotten = blob.slice();
        rotten[at] = (rotten[at] ?? 0) ^ (1 << (at % 8));
        const got = await read(rotten, choice);
        if (got instanceof Uint8Array) continue;
        told++;
        assert.equal(
          reasonOf(got.error, 'malformed')?.type,
          'malformed',
          `byte ${at}: ${messageOf(got.error)}`,
        );
      }
      assert.ok(told > 20, `${told} were told`);
    });

    test(`${format} (${choice}): cut short anywhere gives an error with the reason, or the archive that is there`, async () => {
      for (let length = 1; length < blob.length; length += blob.length > 2000 ? 101 : 3) {
        const got = await read(blob.slice(0, length), choice);
        if (got instanceof Uint8Array) {
          // Without compression, as in Go, an archive may end after any entry: its digest tells what is missing.
          const whole = format === 'plain' ? 0 : TAR.length - 1024;
          assert.ok(got.length >= whole, `${length} bytes: ${got.length} of ${TAR.length} read`);
          assert.deepEqual(got, TAR.subarray(0, got.length));
          continue;
        }
        const what = `${length} bytes: ${kindOf(got.error)} ${messageOf(got.error)}`;
        assert.equal(reasonOf(got.error, 'malformed')?.type, 'malformed', what);
      }
    });
  }
}

test('a window, a dictionary and an entry type that a flipped bit asks for are told with the reason', async () => {
  const frame = (...bytes: number[]) =>
    Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...bytes, ...new Array(20).fill(0)]);
  for (const blob of [frame(0x00, 0xff), frame(0x01, 0x00, 0x07)]) {
    for (const choice of isDeno ? (['portable'] as const) : (['auto', 'portable'] as const)) {
      const got = await read(blob, choice);
      assert.ok(!(got instanceof Uint8Array));
      assert.equal(reasonOf(got.error, 'malformed')?.type, 'malformed', messageOf(got.error));
    }
  }
});
