/** For tests of archives: a store with the golden image, one without, and files beside. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ArchiveEntry, blobEntry, blobs, indexOf, LAYOUT, tarOf } from './golden-image.ts';
import { type Hawser, hawser, quickest } from './hawser.ts';
import { scratch } from './scratch.ts';

export const GOLDEN_NAME = 'registry.example/t/img:1';

export interface CarryWorld {
  readonly dir: string;
  /** A file in the scratch directory. */
  path(name: string): string;
  /** A store that has the golden image. */
  readonly full: Hawser;
  readonly empty: Hawser;
}

export async function withCarryWorld(body: (world: CarryWorld) => Promise<void>): Promise<void> {
  const dir = scratch('hawser-carry-');
  const path = (name: string) => join(dir.path, name);
  try {
    const entries: ArchiveEntry[] = [
      ['oci-layout', LAYOUT],
      ['index.json', indexOf([{ 'io.containerd.image.name': GOLDEN_NAME }])],
      ...blobs().map(blobEntry),
    ];
    writeFileSync(path('golden.tar'), tarOf(entries));
    const full = hawser(quickest, path('full'));
    await full.ok('import', '--no-unpack', '--all-platforms', path('golden.tar'));
    await body({ dir: dir.path, path, full, empty: hawser(quickest, path('empty')) });
  } finally {
    await dir[Symbol.asyncDispose]();
  }
}

/** The target of the record `name`, as hawser lists it. */
export async function targetOf(store: Hawser, name: string): Promise<string | undefined> {
  const { stdout } = await store.ok('images', 'ls', `name==${name}`);
  return /sha256:[0-9a-f]{64}/.exec(stdout)?.[0];
}
