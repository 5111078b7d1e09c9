/**
 * The images that are measured, built once and kept: an OCI layout with the names of IMAGES. Cached by the hash of the
 * recipe below HAWSER_BENCH_DIR (default: ~/.cache/hawser-bench; about 3 GB with the registry, so not a tmpfs).
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { findTool } from '../../test/support/needs.ts';
import type { Described } from '../fixtures/layout.ts';
import { BUILD_TOOLS, buildImages, RECIPE } from './build-images.ts';

export interface BenchImage {
  readonly name: string;
  readonly title: string;
  readonly compression: 'gzip' | 'zstd';
}

export const IMAGES: readonly BenchImage[] = [
  { name: 'minbase', title: 'Debian minbase, 1 layer', compression: 'gzip' },
  { name: 'python', title: '+ python and clean-up, 3 layers', compression: 'gzip' },
  { name: 'app', title: '+ node_modules and two 100 MB binaries, 6 layers', compression: 'gzip' },
  { name: 'app-one-layer', title: 'the same as one layer', compression: 'gzip' },
  { name: 'app-zstd', title: 'the same 6 layers as zstd', compression: 'zstd' },
  { name: 'tiny', title: '60 tiny layers', compression: 'gzip' },
  { name: 'tiny-127', title: '127 tiny layers', compression: 'gzip' },
  { name: 'many', title: '60 layers of 48 KB', compression: 'gzip' },
];

export function benchDir(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const dir = process.env.HAWSER_BENCH_DIR ?? join(cache, 'hawser-bench');
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** The layout's directory; `log` hears of what takes long. */
export async function benchImages(log: (line: string) => void): Promise<string> {
  const recipe = createHash('sha256');
  for (const file of RECIPE) recipe.update(readFileSync(join(import.meta.dirname, file)));
  const dir = join(benchDir(), `images-${recipe.digest('hex').slice(0, 16)}`);
  if (existsSync(dir)) return dir;
  const missing = BUILD_TOOLS.filter((tool) => findTool(tool) === undefined);
  if (missing.length > 0) throw new Error(`To build the images, install ${missing.join(', ')}`);
  rmSync(`${dir}.new`, { recursive: true, force: true });
  await buildImages(`${dir}.new`, log);
  renameSync(`${dir}.new`, dir);
  return dir;
}

/** The manifest of an image of the layout. */
export function layoutManifest(dir: string, name: string): { layers: Described[]; config: Described } {
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: Described[] };
  const found = index.manifests.find(
    (one) => one.annotations?.['org.opencontainers.image.ref.name'] === name,
  );
  if (found === undefined) throw new Error(`The layout ${dir} has no image ${name}`);
  return JSON.parse(readFileSync(join(dir, 'blobs', found.digest.replace(':', '/')), 'utf8')) as {
    layers: Described[];
    config: Described;
  };
}
