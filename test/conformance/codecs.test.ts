import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { FORMATS, type FormatName } from '../../src/core/codec/formats.ts';
import { decodeGzip } from '../../src/core/codec/gzip-members.ts';
import { pakoEngine } from '../../src/core/codec/gzip-portable.ts';
import { codecOf } from '../../src/core/codec/portable.ts';
import { isKind } from '../../src/core/errors.ts';
import type { Codecs, Compression } from '../../src/core/ports/codecs.ts';
import { createCodecs, zlibEngine } from '../../src/platform/codecs/native-codecs.ts';
import { codecsSuite } from '../suites/codecs.ts';
import { execOk } from '../support/exec.ts';
import { isDeno } from '../support/needs.ts';

const codecs = createCodecs();

/** Portable gzip where there is no WebAssembly. */
const withoutWasm: Codecs = {
  ...codecs,
  get: async (compression) =>
    codecOf(compression, 'portable', 'pako', (source) => decodeGzip(source, pakoEngine)),
};
codecsSuite(withoutWasm, 'portable', 'gzip', 'pako');

/** node:zlib in the static executable, too, whose native decoder is another. */
const byZlib: Codecs = {
  ...codecs,
  get: async (compression) =>
    codecOf(compression, 'native', 'zlib', (source) => decodeGzip(source, zlibEngine)),
};
codecsSuite(byZlib, 'native', 'gzip', 'zlib');

const NAMES: readonly Compression[] = ['identity', ...(Object.keys(FORMATS) as FormatName[])];

for (const compression of NAMES) {
  codecsSuite(codecs, 'portable', compression);
  if (!(isDeno && compression === 'zstd')) codecsSuite(codecs, 'native', compression);
}

test('codecs: portable gzip is in WebAssembly, and in JavaScript where there is none', async () => {
  assert.equal((await codecs.get('gzip', 'portable')).library, 'ISA-L in WebAssembly');
  const url = (name: string) =>
    JSON.stringify(new URL(`../../src/core/codec/${name}.ts`, import.meta.url).href);
  // Loaded first: Node reads types by WebAssembly, too.
  const script = `const [{ portableCodec }] = await Promise.all([
      import(${url('portable')}), import(${url('gzip-wasm')}), import(${url('gzip-portable')})]);
    globalThis.WebAssembly = undefined;
    console.log((await portableCodec('gzip')).library);`;
  const quiet = '--disable-warning=ExperimentalWarning';
  const args = isDeno ? ['eval', script] : [quiet, '--input-type=module', '-e', script];
  assert.equal((await execOk(process.execPath, args)).stdout, 'pako\n');
});

test('codecs: auto is native, but for zstd on Deno, whose own takes damage for the end', async () => {
  assert.equal((await codecs.get('gzip')).implementation, 'native');
  assert.equal((await codecs.get('zstd', 'auto')).implementation, isDeno ? 'portable' : 'native');
  if (isDeno) await assert.rejects(codecs.get('zstd', 'native'), (err) => isKind(err, 'NotImplemented'));
});
