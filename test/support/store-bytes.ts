/** What lies in a store, byte by byte, without hawser's own code. */
import fs from 'node:fs';
import { join, relative } from 'node:path';

export interface StoreBytes {
  /** Paths of files that no part of a store explains. */
  readonly unknown: readonly string[];
  /** Bytes that a true account has at least: content of files, and of unpacked files their blocks. */
  readonly least: number;
  /** The same at most: of snapshots and downloads all blocks, those of their directories included. */
  readonly most: number;
  /** Blocks of everything, as du counts them. */
  readonly blocks: number;
  /** How far blocks and account may lie apart: directories, and the ends of files that do not fill a block. */
  readonly overhead: number;
}

const PARTS: readonly RegExp[] = [
  /^content\/blobs\/sha256\/[0-9a-f]{64}$/,
  /^content\/ingest\/[0-9a-f]{64}\/data$/,
  /^content\/(index\.json|oci-layout|\.(index\.json|oci-layout)\.[0-9a-f]{16})$/,
  /^(hawser\.db(-wal|-shm)?|spare)$/,
  /^run\/[0-9a-f]{16}\.[a-z]+$/,
  /^snapshots\/[a-z]+\/[1-9][0-9]*\//,
];

export function bytesInStore(root: string): StoreBytes {
  const unknown: string[] = [];
  const seen = new Set<number>();
  let [least, most, blocks, overhead] = [0, 0, 0, 0];
  for (const entry of [root, ...below(root)]) {
    const path = relative(root, entry);
    const stat = fs.lstatSync(entry);
    const { size, ino } = stat;
    if (seen.has(ino)) continue;
    seen.add(ino);
    const used = stat.blocks * 512;
    blocks += used;
    if (stat.isDirectory()) {
      most += used;
      overhead += used;
      continue;
    }
    if (!PARTS.some((part) => part.test(path))) unknown.push(path);
    if (path.startsWith('snapshots/')) {
      least += used;
      most += used;
    } else {
      least += size;
      most += path.startsWith('content/ingest/') ? Math.max(size, used) : size;
      overhead += Math.abs(used - size);
    }
  }
  return { unknown, least, most, blocks, overhead };
}

function below(dir: string): string[] {
  const entries = fs.readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name));
}
