/** Documents and layers that were made to fill the memory: however few bytes they take on the wire, a pull stays below 256 MiB. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES } from '../../src/core/oci/documents.ts';
import { MAX_JSON_VALUES } from '../../src/core/oci/json.ts';
import { buildImage, buildTar } from '../registry/image.ts';
import { sha256, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type ExecResult, exec } from '../support/exec.ts';
import { type Flavour, type FlavourName, wanted } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { concat } from '../support/streams.ts';

const LIMIT = 256;
const CONFIG = 'application/vnd.oci.image.config.v1+json';

/** Text after a JSON object's last member, up to `size` bytes in all. */
type Filler = (room: number) => string;

const fill =
  (open: string, unit: (n: number) => string, close: string, most = Number.POSITIVE_INFINITY): Filler =>
  (room) => {
    const length = unit(0).length + 1;
    const count = Math.min(most, Math.floor((room - open.length - close.length) / length));
    return `${open}${Array.from({ length: count }, (_, n) => unit(n)).join(',')}${close}`;
  };
const numbered = (n: number): string => String(n).padStart(6, '0');
const MOST = MAX_JSON_VALUES - 200;

/** Which document is filled, and with what: the worst of each kind that was measured. */
const DOCUMENTS: readonly (readonly [which: 'config' | 'manifest', title: string, filler: Filler])[] = [
  ['config', 'empty-objects', fill(',"x":[', () => '{}', ']')],
  ['config', 'long-keys', fill(',"Labels":{', (n) => `"${'k'.repeat(70)}${numbered(n)}":""`, '}', MOST)],
  ['config', 'escapes', (room) => `,"x":"${'\\u0100'.repeat(Math.floor((room - 10) / 6))}"`],
  ['manifest', 'short-keys', fill(',"annotations":{', (n) => `"${numbered(n)}":""`, '}', MOST)],
  ['manifest', 'wide-characters', (room) => `,"x":"${'\u0100'.repeat((room - 10) >> 1)}"`],
];

/** What is refused for what it holds; the others are pulled. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'config-empty-objects': /not valid JSON: more than 100000 values/,
};

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The object with the filler before its last brace. */
function filled(document: unknown, filler: Filler, size: number): Uint8Array {
  const head = JSON.stringify(document).slice(0, -1);
  const bytes = encode(`${head}${filler(size - head.length - 1)}}`);
  assert.ok(bytes.length <= size, `${bytes.length} bytes`);
  return bytes;
}

/** Puts the images that have these documents; their references. */
async function serve(registry: TestRegistry): Promise<string[]> {
  const image = await buildImage({ layers: [{ entries: [{ name: 'file', data: 'x' }] }] });
  registry.push('t/a', 'plain', image);
  const manifest = JSON.parse(new TextDecoder().decode(image.root.bytes)) as { config: { digest: string } };
  const plain = JSON.parse(new TextDecoder().decode(image.blobs.get(manifest.config.digest)));
  return DOCUMENTS.map(([which, title, filler]) => {
    const tag = `${which}-${title}`;
    const put = (bytes: Uint8Array) => registry.putManifest('t/a', tag, image.root.mediaType, bytes);
    if (which === 'manifest') put(filled(manifest, filler, MAX_MANIFEST_BYTES));
    else {
      const bytes = filled(plain, filler, MAX_CONFIG_BYTES);
      const config = { mediaType: CONFIG, digest: sha256(bytes), size: bytes.length };
      registry.putBlob('t/a', config.digest, bytes);
      put(encode(JSON.stringify({ ...manifest, config })));
    }
    return `${registry.host}/t/a:${tag}`;
  });
}

/** A line of /proc/PID/status: the most that was resident, or what is resident now and no part of a file, which the kernel could drop. */
type Counted = 'VmHWM' | 'RssAnon';

/** Most MiB that the process had, and how it ended. */
async function peakOf(
  { command }: Flavour,
  args: readonly string[],
  counted: Counted = 'VmHWM',
): Promise<ExecResult & { peak: number }> {
  const [file, ...first] = command;
  let peak = 0;
  let look: ReturnType<typeof setInterval> | undefined;
  const started = ({ pid }: ChildProcess): void => {
    look = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const now = new RegExp(`^${counted}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1];
        peak = Math.max(peak, Number(now ?? 0) / 1024);
      } catch {
        // It has ended.
      }
    }, 5);
  };
  try {
    const result = await exec(file, [...first, ...args], { started });
    return { ...result, peak: Math.round(peak) };
  } finally {
    clearInterval(look);
  }
}

/** A runtime each, as it is published. */
const PUBLISHED: readonly FlavourName[] = ['binary', 'node22', 'deno'];

describe('memory of documents', { skip: needs({ root: true }) }, () => {
  let temp: Scratch;
  let registry: TestRegistry;
  let references: readonly string[];
  before(async () => {
    temp = scratch('hawser-memory-');
    registry = await startRegistry({
      faults: [{ match: '/blobs/', method: 'GET', contentEncoding: 'gzip' }],
    });
    references = await serve(registry);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  for (const which of wanted.filter(({ name }) => PUBLISHED.includes(name))) {
    test(`${which.name}: below ${LIMIT} MiB, whatever is in them`, { skip: which.skip }, async (t) => {
      const peaks: string[] = [];
      for (const ref of references) {
        const tag = ref.replace(/.*:/, '');
        const root = join(temp.path, `${which.name}-${tag}`);
        const args = ['--root', root, 'pull', '--progress', 'none', '--snapshotter', 'native', ref];
        const { peak, code, stderr } = await peakOf(which, args);
        peaks.push(`${tag}: ${peak} MiB`);
        const refused = REFUSED[tag];
        assert.equal(code, refused === undefined ? 0 : 1, `${ref}: ${stderr}`);
        if (refused !== undefined) assert.match(stderr, refused);
        assert.ok(peak > 30, 'it was measured');
        assert.ok(peak < LIMIT, peaks.join(', '));
      }
      t.diagnostic(peaks.join(', '));
    });
  }
});

const MIB = 1 << 20;
/** Deno has 105 MiB before it decodes, and leaves more to its garbage collector. */
const LIMIT_OF_DENO = 320;
const BLOCK = 128 * 1024;

/** A block of a zstd frame (RFC 8878 section 3.1.1.2): raw, or a run of zeros. */
const block = (last: boolean, bytes: Uint8Array | number): Uint8Array => {
  const [type, size, content] =
    typeof bytes === 'number' ? [1, bytes, Uint8Array.of(0)] : [0, bytes.length, bytes];
  const header = (size << 3) | (type << 1) | Number(last);
  return concat(Uint8Array.of(header & 255, (header >> 8) & 255, header >> 16), content);
};

/** A layer of 160 MiB whose decoder fills a window of 128, after so much that no frame decodes that the layer is not small. */
async function widestLayer(name: string): Promise<{ tar: Uint8Array; packed: Uint8Array }> {
  const head = await buildTar([{ name, data: name }]);
  const skipped = new Uint8Array(5 * MIB);
  const skippable = new Uint8Array(8);
  new DataView(skippable.buffer).setUint32(0, 0x184d2a50, true);
  new DataView(skippable.buffer).setUint32(4, skipped.length, true);
  const runs = Array.from({ length: (160 * MIB) / BLOCK }, (_, n, last = 160 * MIB) =>
    block((n + 1) * BLOCK === last, BLOCK),
  );
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3);
  return {
    tar: concat(head, new Uint8Array(160 * MIB)),
    packed: concat(skippable, skipped, frame, block(false, head), ...runs),
  };
}

describe('memory of windows', { skip: needs({ root: true }) }, () => {
  let temp: Scratch;
  let registry: TestRegistry;
  before(async () => {
    temp = scratch('hawser-windows-');
    registry = await startRegistry();
    const layers = await Promise.all(['a', 'b', 'c'].map(widestLayer));
    const image = await buildImage({ layers: layers.map((layer) => ({ ...layer, compression: 'zstd' })) });
    registry.push('t/a', 'wide', image);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  for (const which of wanted.filter(({ name }) => PUBLISHED.includes(name)))
    for (const codec of ['auto', 'portable'])
      test(`${which.name}, ${codec}: three layers with the largest window`, {
        skip: which.skip,
      }, async (t) => {
        const root = join(temp.path, `${which.name}-${codec}`);
        const args = ['--root', root, 'pull', '--progress', 'none', '--codec', codec];
        const { peak, code, stderr } = await peakOf(which, [...args, `${registry.host}/t/a:wide`], 'RssAnon');
        assert.equal(code, 0, stderr);
        t.diagnostic(`${peak} MiB`);
        assert.ok(peak > 140, 'a window was filled');
        assert.ok(peak < (which.name === 'deno' ? LIMIT_OF_DENO : LIMIT), `${peak} MiB`);
      });
});
