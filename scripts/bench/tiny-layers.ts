/** Many layers of three small files: what a pull costs where there is little to fetch and to unpack. */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { addLayer, type LayerFile, type Layout } from '../fixtures/layout.ts';

export interface TinyOptions {
  /** How many layers; default 60. */
  readonly count?: number;
  /** Bytes of each file, none of which can be compressed; default: a line of text. */
  readonly bytes?: number;
}

export async function tinyLayers(
  layout: Layout,
  scratch: string,
  { count = 60, bytes = 0 }: TinyOptions = {},
): Promise<LayerFile[]> {
  mkdirSync(scratch, { recursive: true });
  const layers: LayerFile[] = [];
  for (let n = 0; n < count; n++) {
    const path = join(scratch, 'tiny.tar');
    writeFileSync(path, await tinyTar(n, bytes));
    layers.push(addLayer(layout, path));
  }
  rmSync(scratch, { recursive: true });
  return layers;
}

async function tinyTar(n: number, bytes: number): Promise<Uint8Array> {
  const tar = pack();
  const mtime = new Date(1_767_225_600_000);
  tar.entry({ name: 'etc/', type: 'directory', mode: 0o755, mtime });
  tar.entry({ name: `etc/layer${n}/`, type: 'directory', mode: 0o755, mtime });
  for (let i = 0; i < 3; i++)
    tar.entry(
      { name: `etc/layer${n}/${i}`, mode: 0o644, mtime },
      content(`file ${i} of layer ${n}\n`, bytes),
    );
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** The line, or as many bytes as are wanted that look like chance. */
function content(line: string, bytes: number): Buffer {
  if (bytes === 0) return Buffer.from(line);
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, n) =>
    createHash('sha256').update(`${n} ${line}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, bytes);
}
