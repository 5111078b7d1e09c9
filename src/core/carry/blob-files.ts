/** The blobs of an archive that has them elsewhere than an image layout has. */
import type { BlobFiles } from '../reference/reference.ts';
import { blobPath } from './docker-manifest.ts';
import { type Archive, followed, memoryMember } from './members.ts';

/** `archive` with the blobs where a layout has them, and nothing else. Closing closes `archive`. */
export function blobsAt(archive: Archive, files: BlobFiles): Archive {
  const byPath = new Map([...files].map(([digest, file]) => [blobPath(digest), file]));
  return {
    name: archive.name,
    find: async (name, call) => {
      const file = byPath.get(name);
      if (file === undefined) return undefined;
      return typeof file === 'string' ? await followed(archive, file, call) : memoryMember(file);
    },
    names: async () => byPath.keys(),
    [Symbol.asyncDispose]: () => archive[Symbol.asyncDispose](),
  };
}
