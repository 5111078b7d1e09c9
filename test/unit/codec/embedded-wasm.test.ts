import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { embeddedFiles } from '../../../scripts/embed-wasm.ts';
import { wasmBytes as inflate } from '../../../wasm/inflate.generated.ts';
import { wasmBytes as oneshot } from '../../../wasm/zstd-oneshot.generated.ts';
import { wasmBytes as stream } from '../../../wasm/zstd-stream.generated.ts';

const root = new URL('../../../', import.meta.url);

test('the committed WebAssembly is what scripts/embed-wasm.ts makes of the pinned packages', () => {
  const files = embeddedFiles();
  assert.equal(files.size, 7);
  for (const [path, bytes] of files)
    assert.equal(
      Buffer.compare(readFileSync(new URL(path, root)), bytes),
      0,
      `${path}: run scripts/embed-wasm.ts`,
    );
});

test('the generated modules carry the same bytes, and they are WebAssembly with the exports we call', () => {
  for (const [name, bytes, wanted] of [
    ['inflate', inflate(), ['memory', 'begin', 'step']],
    ['zstd-oneshot', oneshot(), ['f', 'g', 'h', 'i', 'm', 'r', 's', 't']],
    ['zstd-stream', stream(), ['memory', 'malloc', 'ZSTD_createDCtx', 'ZSTD_decompressStream']],
  ] as const) {
    assert.equal(Buffer.compare(readFileSync(new URL(`wasm/${name}.wasm`, root)), bytes), 0);
    const exports = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map((one) => one.name);
    for (const one of wanted) assert.ok(exports.includes(one), `${name} exports ${one}`);
  }
});

test('inflate.wasm was made of the sources that are there', () => {
  const lines = readFileSync(new URL('wasm/inflate.sums', root), 'utf8').trim().split('\n');
  assert.ok(lines.length > 10);
  for (const path of ['wasm/inflate.c', 'scripts/build-wasm.sh'])
    assert.ok(
      lines.some((line) => line.endsWith(`  ${path}`)),
      `${path} is noted`,
    );
  for (const line of lines) {
    const [sum, path = ''] = line.split('  ');
    const is = createHash('sha256')
      .update(readFileSync(new URL(path, root)))
      .digest('hex');
    assert.equal(is, sum, `${path}: run scripts/build-wasm.sh`);
  }
});
