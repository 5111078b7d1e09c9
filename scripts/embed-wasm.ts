/**
 * Takes the WebAssembly codecs out of the pinned npm packages and writes them as wasm/*.wasm and, so that one file can
 * hold all of us, as modules with the same bytes in base64. inflate.wasm is there already: scripts/build-wasm.sh makes it. Run this after
 * a change of zstddec, of @bokuweb/zstd-wasm or of inflate.wasm:
 *
 *     node scripts/embed-wasm.ts
 */

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ISAL_VERSION } from '../src/platform/codecs/linked-decoder.ts';

interface Embedded {
  readonly name: string;
  readonly from: string;
  readonly version: string;
  readonly licence: string;
  readonly bytes: Uint8Array;
}

const root = new URL('../', import.meta.url);

function read(path: string): Buffer {
  return readFileSync(new URL(path, root));
}

function versionOf(name: string): string {
  return (JSON.parse(read(`node_modules/${name}/package.json`).toString()) as { version: string }).version;
}

/** zstddec carries its module as one long base64 literal. */
function streamModule(): Embedded {
  const text = read('node_modules/zstddec/dist/zstddec-stream.mjs').toString();
  const [literal] = text.match(/(?<=["'`])AGFzbQ[A-Za-z0-9+/=]+(?=["'`])/) ?? [];
  if (literal === undefined) throw new Error('zstddec/stream holds no base64 WebAssembly module any more');
  return {
    name: 'zstd-stream',
    from: 'zstddec',
    version: versionOf('zstddec'),
    licence: 'MIT (glue), BSD-3-Clause (Zstandard)',
    bytes: Buffer.from(literal, 'base64'),
  };
}

function oneshotModule(): Embedded {
  return {
    name: 'zstd-oneshot',
    from: '@bokuweb/zstd-wasm',
    version: versionOf('@bokuweb/zstd-wasm'),
    licence: 'MIT (glue), BSD-3-Clause (Zstandard)',
    bytes: read('node_modules/@bokuweb/zstd-wasm/dist/esm/zstd.wasm'),
  };
}

/** Of scripts/build-wasm.sh. */
function inflateModule(): Embedded {
  return {
    name: 'inflate',
    from: 'ISA-L (scripts/static/isa-l) and inflate.c',
    version: ISAL_VERSION,
    licence: 'BSD-3-Clause (ISA-L), Apache-2.0',
    bytes: read('wasm/inflate.wasm'),
  };
}

function moduleText(one: Embedded, sha256: string): string {
  return `// Made by scripts/embed-wasm.ts from ${one.from} ${one.version}, ${one.licence}. Do not edit.
// sha256 ${sha256}

const base64: string =
  '${Buffer.from(one.bytes).toString('base64')}';

/** The bytes of ${one.name}.wasm, decoded when called. */
export function wasmBytes(): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
`;
}

function readmeText(all: readonly (Embedded & { sha256: string })[]): string {
  const rows = all.map(
    (one) =>
      `| \`${one.name}.wasm\` | ${one.from} ${one.version}${one.name === 'inflate' ? '' : ' (npm)'} | ${one.licence} | ${one.bytes.length} | \`${one.sha256}\` |`,
  );
  return `# WebAssembly codecs

Zstandard, compiled by others, unchanged: made by \`node scripts/embed-wasm.ts\` from the packages that \`package.json\` pins. And inflate, of
ISA-L: \`scripts/build-wasm.sh\` compiles it with clang 14. Unit tests fail when a file here is not what \`embed-wasm.ts\` would
write, and when a source of \`inflate.wasm\`, its script included, is not the one that \`inflate.sums\` notes; no test compiles \`inflate.wasm\` again. Each \`.generated.ts\` module holds the same
bytes as its \`.wasm\`, in base64, decoded on first use: a bundle needs no file beside it.

| file | source | licence | bytes | sha256 |
|---|---|---|---|---|
${rows.join('\n')}

- \`inflate\` inflates streams and sums their output (\`src/core/codec/gzip-wasm.ts\`). \`inflate.sums\` has the sums of its sources.
- \`zstd-stream\` decodes streams of frames, without content size too (\`src/core/codec/zstd-portable.ts\`). Layers go through it where the
  runtime has no zstd of its own, or one that is wrong.
- \`zstd-oneshot\` compresses, and decodes whole frames in memory (\`src/core/codec/zstd-oneshot.ts\`). No verb uses this module: tests and
  fuzzing hold the decoders of streams to it, which are of other builds of Zstandard.

To update: change the version in \`package.json\`, \`npm install\`, run the script, run the codec conformance tests, commit all of it.
The export names of \`zstd-oneshot\` are minified by its build; when they move, \`zstd-oneshot.ts\` must follow \`dist/esm/zstd.js\` of the package.
`;
}

/** Path (from the repository's root) to content of every file that this script makes. */
export function embeddedFiles(): Map<string, Uint8Array> {
  const all = [inflateModule(), streamModule(), oneshotModule()].map((one) => ({
    ...one,
    sha256: createHash('sha256').update(one.bytes).digest('hex'),
  }));
  const files = new Map<string, Uint8Array>();
  for (const one of all) {
    files.set(`wasm/${one.name}.wasm`, one.bytes);
    files.set(`wasm/${one.name}.generated.ts`, Buffer.from(moduleText(one, one.sha256)));
  }
  files.set('wasm/README.md', Buffer.from(readmeText(all)));
  return files;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const [path, bytes] of embeddedFiles()) writeFileSync(fileURLToPath(new URL(path, root)), bytes);
}
