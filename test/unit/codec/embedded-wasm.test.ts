import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { embeddedFiles } from '../../../scripts/embed-wasm.ts';
import { wasmBytes as oneshot } from '../../../wasm/zstd-oneshot.generated.ts';
import { wasmBytes as stream } from '../../../wasm/zstd-stream.generated.ts';

const root = new URL('../../../', import.meta.url);

test('the committed WebAssembly is what scripts/embed-wasm.ts makes of the pinned packages', () => {
  const files = embeddedFiles();
  assert.equal(files.size, 5);
  for (const [path, bytes] of files)
    assert.equal(
      Buffer.compare(readFileSync(new URL(path, root)), bytes),
      0,
      `${path}: run scripts/embed-wasm.ts`,
    );
});

test('the generated modules carry the same bytes, and they are WebAssembly with the exports we call', () => {
  for (const [name, bytes, wanted] of [
    ['zstd-oneshot', oneshot(), ['f', 'g', 'h', 'i', 'm', 'r', 's', 't']],
    ['zstd-stream', stream(), ['memory', 'malloc', 'ZSTD_createDCtx', 'ZSTD_decompressStream']],
  ] as const) {
    assert.equal(Buffer.compare(readFileSync(new URL(`wasm/${name}.wasm`, root)), bytes), 0);
    const exports = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map((one) => one.name);
    for (const one of wanted) assert.ok(exports.includes(one), `${name} exports ${one}`);
  }
});
