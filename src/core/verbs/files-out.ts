/** Files of an image on a disk or in an archive: `files cp`, `unpack --tar`. */

import { fromUtf8 } from '../bytes.ts';
import { FileSink, writeBeside } from '../carry/beside.ts';
import { compressionOfName, withCompression } from '../carry/compressed-sink.ts';
import type { ByteSink } from '../carry/sink.ts';
import { HawserError, wrap } from '../errors.ts';
import { type TreeEntry, typeOf } from '../files/entries.ts';
import { type FlatEvent, flatten, flattenFile } from '../files/flatten.ts';
import type { ImageFiles } from '../files/image-files.ts';
import { walk, wholeView } from '../files/walk.ts';
import { tarBytes } from '../files/write-tar.ts';
import { writeTree } from '../files/write-tree.ts';
import { makeOutput } from '../output/output-directory.ts';
import { makeOutputFile } from '../output/output-file.ts';
import { requireOutside } from '../output/outside.ts';
import type { Call } from '../ports/call.ts';
import type { Runtime } from '../runtime.ts';
import type { ModelNode } from '../trees/model-node.ts';
import { readIdMaps } from '../users/id-map.ts';
import type { OwnerMode } from '../users/owner-policy.ts';
import { nameOfType, type OpenImage } from './files.ts';
import { requireOwner } from './rootfs.ts';

type Warn = (message: string) => void;

export interface TarOptions extends Call {
  /** Takes the bytes, or the absolute path of a file, which is there and whole in the end, or as before; its name asks for a compression. */
  readonly to: { readonly sink: ByteSink } | { readonly path: string };
  /** Where no file is written: the store. */
  readonly keepOut: readonly string[];
  readonly warn: Warn;
}

/**
 * Writes the tree of an image as one tar archive, the same bytes for the same image: whiteouts applied, hard links kept, with owners,
 * times and extended attributes. All layers are read to the tree first, and then once more.
 */
export async function writeTar(
  runtime: Runtime,
  { files }: OpenImage,
  { to, keepOut, warn, ...call }: TarOptions,
): Promise<void> {
  if ('path' in to)
    await requireOutside(runtime, to.path, { doing: `Cannot write ${to.path}`, keepOut, ...call });
  const root = await files.whole(call);
  for (const warning of files.warnings) warn(warning);
  const write = async (out: ByteSink): Promise<void> => {
    for await (const bytes of tarBytes(flatten(files, { path: '', node: root }, call)))
      await out.write(bytes, call);
  };
  if ('sink' in to) return await write(to.sink);
  const compression = compressionOfName(to.path);
  await writeBeside(
    runtime,
    to.path,
    (file) => withCompression(runtime.codecs, compression, new FileSink(file), call, write),
    call,
  );
}

export interface CopyOptions extends Call {
  /** In the image. */
  readonly path: string;
  /** Absolute: a directory that is there. What is copied gets its place in it, under the last name of `path`. */
  readonly dir: string;
  /** Replaces what is there under that name. */
  readonly force: boolean;
  /** Where nothing is written: the store. */
  readonly keepOut: readonly string[];
  /** Not given: `keep` with CAP_CHOWN, else `ours`. */
  readonly owner?: OwnerMode | undefined;
  readonly warn: Warn;
}

/**
 * Copies a file, or a directory with all below, out of an image: there and whole and durable, or not there. A symlink at the end of the
 * path is followed, those below are copied. A file takes no more layers than `writeFiles` reads. Returns the path that was made.
 */
export async function copyFiles(
  runtime: Runtime,
  { files }: OpenImage,
  options: CopyOptions,
): Promise<string> {
  const { path, dir, signal } = options;
  const name = nameOf(path);
  const info = await runtime.fs.stat(`${dir}/.`, { signal });
  if (info === undefined) {
    throw new HawserError('NotFound', `Cannot write to ${dir}: there is no such directory`, {
      hint: `mkdir -p ${dir}`,
    });
  }
  const copying = { ...options, name, owner: await ownerFor(runtime, options) };
  const [found] = await files.find([fromUtf8(path)], { signal });
  if (found?.is === 'other') return await copyFile(runtime, files, found.node, copying);
  return await copyDirectory(runtime, files, copying);
}

interface Copying extends Omit<CopyOptions, 'owner'> {
  /** Of what is made. */
  readonly name: string;
  readonly owner: OwnerMode;
}

function nameOf(path: string): string {
  const name = path.replace(/\/+$/, '').replace(/^.*\//s, '');
  if (name !== '' && name !== '.' && name !== '..') return name;
  throw new HawserError('InvalidArgument', `Cannot copy ${JSON.stringify(path)}: it does not say a name`, {
    hint: 'For all files of an image: hawser unpack REF --rootfs DIR',
  });
}

async function ownerFor(runtime: Runtime, { owner, signal }: CopyOptions): Promise<OwnerMode> {
  const mayGive = await requireOwner(runtime, { layerSettings: { owner }, signal });
  return owner ?? (mayGive ? 'keep' : 'ours');
}

async function copyFile(
  runtime: Runtime,
  files: ImageFiles,
  node: ModelNode,
  copying: Copying,
): Promise<string> {
  const { path, dir, name, force, keepOut, warn, signal } = copying;
  const options = { force, keepOut, warn, signal };
  await makeOutputFile(runtime, { parent: dir, name }, options, async (made) => {
    await build(runtime, made, flattenFile(files, fromUtf8(name), node, { signal }), copying);
    if ((await runtime.fs.stat(`${made}/${name}`, { signal })) === undefined) throw leftOut(path, node);
  });
  return `${dir === '/' ? '' : dir}/${name}`;
}

/** The writer of trees leaves out devices where they may not be made, and nothing else. */
function leftOut(path: string, node: ModelNode): HawserError {
  return new HawserError('PermissionDenied', `Cannot copy ${path}: it is ${nameOfType(typeOf(node))}`, {
    hint: 'Only root makes devices: run this as root, outside a user namespace',
  });
}

async function copyDirectory(runtime: Runtime, files: ImageFiles, copying: Copying): Promise<string> {
  const { path, dir, name, force, keepOut, warn, signal } = copying;
  const tree = directoryAt(await files.whole({ signal }), path);
  for (const warning of files.warnings) warn(warning);
  const options = { force, keepOut, warn, signal };
  return await makeOutput(runtime, `${dir}/${name}`, options, async (made) => {
    await runtime.fs.mkdir(made, 0o755, { signal });
    await build(runtime, made, flatten(files, tree, { signal }), copying);
  });
}

function directoryAt(root: ModelNode, path: string): TreeEntry {
  const found = walk(wholeView(root), fromUtf8(path), { follow: true });
  if (found.is === 'directory') return { path: found.path.join('/'), node: found.dir };
  throw new HawserError('Internal', 'a directory has become a file');
}

async function build(
  runtime: Runtime,
  made: string,
  events: AsyncIterable<FlatEvent>,
  { owner: mode, path, warn, signal }: Copying,
): Promise<void> {
  const { uids, gids } = await readIdMaps(runtime.fs, { signal });
  const sys = await runtime.syscalls();
  try {
    const written = await writeTree(sys, made, events, { owner: { mode, uids, gids }, signal });
    for (const warning of written.warnings) warn(warning);
  } catch (err) {
    throw wrap(`Cannot copy ${path}`, err);
  }
}
