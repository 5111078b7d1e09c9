/** Small images as OCI layouts, written by node alone: for tests that want many pulls of a known size. */
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { addImage, addLayer, createLayout } from '../../scripts/fixtures/layout.ts';

export interface SmallImage {
  readonly layers: number;
  /** Bytes that do not compress in each layer. */
  readonly bytes: number;
  /** Small files in each layer. */
  readonly files: number;
}

/** Writes it under the name `small`; the same size gives the same digests. Returns the layout's directory. */
export async function smallImage(parent: string, size: SmallImage): Promise<string> {
  const dir = join(parent, 'small-image');
  const layout = createLayout(dir);
  const layers = [];
  for (let n = 0; n < size.layers; n++) {
    const tar = join(parent, 'layer.tar');
    writeFileSync(tar, await layerTar(n, size));
    layers.push(addLayer(layout, tar));
    rmSync(tar);
  }
  const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['/bin/sh'] } };
  layout.name('small', addImage(layout, 'gzip', layers, config));
  layout.finish();
  return dir;
}

async function layerTar(n: number, size: SmallImage): Promise<Uint8Array> {
  const tar = pack();
  const mtime = new Date(1_700_000_000_000 + n);
  tar.entry({ name: './', type: 'directory', mode: 0o755, mtime });
  tar.entry({ name: `layer${n}/`, type: 'directory', mode: 0o755, mtime });
  tar.entry({ name: `layer${n}/noise`, mode: 0o640, uid: 1000 + n, gid: n, mtime }, noise(n, size.bytes));
  for (let i = 0; i < size.files; i++) tar.entry({ name: `layer${n}/${i}`, mtime }, `${n} ${i}\n`);
  if (n > 0) tar.entry({ name: `layer${n - 1}/.wh.0`, mtime }, '');
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** Deterministic bytes that do not compress. */
export function noise(seed: number, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at < length; at += 32) {
    blocks.push(createHash('sha256').update(`${seed}:${at}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}
