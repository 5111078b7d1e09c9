/** Images of any size, made from numbers: the layers stream from a generator through gzip to disk, never held in memory. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { findTool } from '../../test/support/needs.ts';
import { noise } from '../../test/support/small-image.ts';
import { END, header } from '../../test/support/tar-builder.ts';
import { addImage, createLayout, type Described, type LayerFile } from '../fixtures/layout.ts';
import { sha256 } from './build-images.ts';
import { benchDir } from './images.ts';

export interface GeneratedLayer {
  /** Layers of different seeds have different bytes. */
  readonly seed: number;
  readonly files: number;
  /** Of each file. */
  readonly bytes: number;
}

export interface GeneratedImage {
  readonly name: string;
  readonly layers: readonly GeneratedLayer[];
}

const CONFIG = { created: '2026-01-01T00:00:00Z', architecture: 'amd64', os: 'linux', config: {} };
const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
const PER_DIRECTORY = 500;
const MTIME = 1_767_225_600;

/** A layout with these images, kept under a name that tells what is in it. */
export async function generatedImages(
  images: readonly GeneratedImage[],
  log: (line: string) => void,
): Promise<string> {
  const recipe = createHash('sha256').update(JSON.stringify(images)).digest('hex');
  const dir = join(benchDir(), `generated-${recipe.slice(0, 16)}`);
  if (existsSync(dir)) return dir;
  const fresh = `${dir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const layout = createLayout(fresh);
  for (const { name, layers } of images) {
    log(`making ${name}`);
    const made: LayerFile[] = [];
    for (const layer of layers) made.push(await makeLayer(fresh, layer));
    layout.name(name, addImage(layout, 'gzip', made, CONFIG));
  }
  layout.finish();
  renameSync(fresh, dir);
  return dir;
}

async function makeLayer(layout: string, layer: GeneratedLayer): Promise<LayerFile> {
  const path = join(layout, 'layer.gz');
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Uint8Array, _, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  // What the speed of gzip leaves is not measured here: the fastest level, on all cores where there is pigz.
  const gzip = spawn(findTool('pigz') ?? 'gzip', ['-1', '-n', '-c'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.all([
    pipeline(Readable.from(tarOf(layer), { objectMode: false }), hashing, gzip.stdin),
    pipeline(gzip.stdout, createWriteStream(path)),
  ]);
  const hex = await sha256(path);
  const blob: Described = { mediaType: GZIP, digest: `sha256:${hex}`, size: statSync(path).size };
  renameSync(path, join(layout, 'blobs/sha256', hex));
  return { diffId: `sha256:${hash.digest('hex')}`, blobs: { gzip: blob, zstd: blob } };
}

/** The layer's tar in pieces; batches, as a piece costs more than its bytes. */
function* tarOf({ seed, files, bytes }: GeneratedLayer): Generator<Uint8Array> {
  const pool = contents(seed);
  const directory = (name: string) => header({ name, type: '5', mode: 0o755, mtime: MTIME });
  const padding = new Uint8Array((512 - (bytes % 512)) % 512);
  let batch: Uint8Array[] = [directory(`s${seed}/`)];
  for (let n = 0; n < files; n++) {
    const dir = `s${seed}/d${Math.floor(n / PER_DIRECTORY)}/`;
    if (n % PER_DIRECTORY === 0) batch.push(directory(dir));
    batch.push(header({ name: `${dir}f${n}`, size: bytes, mtime: MTIME }));
    for (let at = 0; at < bytes; at += pool.length) {
      const length = Math.min(bytes - at, pool.length);
      const start = (n * 97) % (pool.length - length + 1);
      batch.push(pool.subarray(start, start + length));
      if (length === pool.length) {
        yield Buffer.concat(batch);
        batch = [];
      }
    }
    batch.push(padding);
    if (batch.length > 500) {
      yield Buffer.concat(batch);
      batch = [];
    }
  }
  yield Buffer.concat([...batch, END]);
}

/** A megabyte that gzip makes about 2.5 times smaller, as it does programs. */
function contents(seed: number): Buffer {
  const random = noise(seed, 400 * 1024);
  const blocks: Buffer[] = [];
  for (let n = 0; n < 256; n++) {
    const text = Buffer.from(`block ${n} of layer ${seed}; `.repeat(200));
    blocks.push(random.subarray(n * 1600, (n + 1) * 1600), text.subarray(0, 4096 - 1600));
  }
  return Buffer.concat(blocks);
}
