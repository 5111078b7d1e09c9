/** What a node is filled from: archives, layouts, lists, and directories of them as k3s, RKE2 and k0s watch them. */
import { withOpen } from '../async/cleanup.ts';
import { DETECT_LENGTH, detectCompression } from '../codec/formats.ts';
import { errnoOf, HawserError } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import type { FileSystem } from '../ports/file-system.ts';
import { hasOtherFormat } from './outer-compression.ts';

export interface NodeSource {
  readonly type: 'archive' | 'list';
  /** Absolute. */
  readonly path: string;
  /** Of an archive that can only be read from its begin to its end: changes when its file does. */
  readonly version?: string | undefined;
}

export interface NodeSources {
  /** Archives before lists, so that nobody asks a registry for what an archive has. */
  readonly sources: readonly NodeSource[];
  /** Sentences about what was left out. */
  readonly leftOut: readonly string[];
}

/** Where k3s, RKE2 and k0s look for images (each below its default data directory). */
export const IMAGE_DIRECTORIES: readonly string[] = [
  '/var/lib/rancher/k3s/agent/images',
  '/var/lib/rancher/rke2/agent/images',
  '/var/lib/k0s/images',
];

const LAYOUT_MARKS: ReadonlySet<string> = new Set(['oci-layout', 'index.json', 'manifest.json']);
const WANTED =
  'Name an archive, a layout, a list of images or a directory of them; hawser --address SOCKET -n k8s.io pull REF takes a single image';
/** Names that only a list has: other text in such a directory is no list. */
const LIST_NAME = /\.(?:txt|ya?ml|json|lock)$/;
const NO_FILE = 'it is no file';
const NO_ARCHIVE = 'it is no archive, and no list by its name (.txt, .yaml, .json, .lock)';
/** The first block of a tar archive (POSIX ustar, and GNU's). */
const TAR_BLOCK = 512;
const MAGIC_AT = 257;

type Files = Pick<FileSystem, 'stat' | 'list' | 'open'>;

/**
 * A file is an archive by its content, else a list; a directory is a layout, or has files that are. What cannot be read counts as an
 * archive, whose import then says why, and stops no other. NotFound for an argument that is not there, InvalidArgument for one that is
 * neither a file nor a directory.
 */
export async function nodeSources(fs: Files, paths: readonly string[], call: Call): Promise<NodeSources> {
  const sources: NodeSource[] = [];
  const leftOut: string[] = [];
  for (const path of paths)
    await readable(path, sources, call, async () => {
      const type = (await fs.stat(path, { follow: true, ...call }))?.type;
      if (type === 'file') sources.push(await fileSource(fs, path, call));
      else if (type === 'directory') await fromDirectory(fs, path, { sources, leftOut }, call);
      else throw refused(path, type !== undefined);
    });
  return { sources: [...sources].sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0)), leftOut };
}

function refused(path: string, isThere: boolean): HawserError {
  if (!isThere)
    return new HawserError('NotFound', `Cannot read ${path}: there is no such file`, { hint: WANTED });
  return new HawserError('InvalidArgument', `Cannot read ${path}: it is neither a file nor a directory`, {
    hint: 'Name a file; "-" is standard input',
  });
}

/** Runs `work`; where that fails by what the disk says, the path becomes an archive. */
async function readable(
  path: string,
  sources: NodeSource[],
  { signal }: Call,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (err) {
    signal?.throwIfAborted();
    if (errnoOf(err) === undefined) throw err;
    sources.push({ type: 'archive', path });
  }
}

/** A layout, or files as k3s takes them: by name, without what is hidden, and not deeper. */
async function fromDirectory(
  fs: Files,
  dir: string,
  found: { readonly sources: NodeSource[]; readonly leftOut: string[] },
  call: Call,
): Promise<void> {
  const entries = await fs.list(dir, call);
  if (entries.some(({ name }) => LAYOUT_MARKS.has(name))) {
    found.sources.push({ type: 'archive', path: dir });
    return;
  }
  // A bundle that builds upon another comes after that one.
  const names = entries.map(({ name }) => name).sort();
  for (const name of names) {
    if (name.startsWith('.')) continue;
    const path = `${dir === '/' ? '' : dir}/${name}`;
    await readable(path, found.sources, call, async () => {
      const type = (await fs.stat(path, { follow: true, ...call }))?.type;
      const source = type === 'file' ? await fileSource(fs, path, call) : undefined;
      if (source?.type === 'archive' || (source && LIST_NAME.test(name))) found.sources.push(source);
      else found.leftOut.push(`Left out ${path}: ${source === undefined ? NO_FILE : NO_ARCHIVE}`);
    });
  }
}

async function fileSource(fs: Pick<Files, 'open' | 'stat'>, path: string, call: Call): Promise<NodeSource> {
  const head = new Uint8Array(Math.max(TAR_BLOCK, DETECT_LENGTH));
  const opening = fs.open(path, 'follow', undefined, call);
  const length = await withOpen(opening, (file) => file.read(head, 0));
  const begin = head.subarray(0, length);
  if (!isArchive(begin)) return { type: 'list', path };
  if (detectCompression(begin) === 'identity') return { type: 'archive', path };
  const info = await fs.stat(path, { follow: true, ...call });
  return { type: 'archive', path, version: info && `${info.size}-${Math.round(info.mtime)}` };
}

function isArchive(head: Uint8Array): boolean {
  const magic = String.fromCharCode(...head.subarray(MAGIC_AT, MAGIC_AT + 5));
  return magic === 'ustar' || detectCompression(head) !== 'identity' || hasOtherFormat(head);
}
