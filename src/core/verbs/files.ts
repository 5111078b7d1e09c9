/** The verbs `files`: what is in an image, from a store or straight from its registry. Nothing is stored or unpacked. */
import { type ByteString, fromUtf8 } from '../bytes.ts';
import { withSoundBlob } from '../content/heal.ts';
import type { SplitOptions } from '../download/link.ts';
import { verifiedStream } from '../download/stream-blob.ts';
import { HawserError, isKind, wrap } from '../errors.ts';
import { entriesOf, type FileType, type TreeEntry, typeOf } from '../files/entries.ts';
import { type FoundFile, ImageFiles } from '../files/image-files.ts';
import { LayerReader, type LayerSource } from '../files/layer-reader.ts';
import { pathText, walk, wholeView } from '../files/walk.ts';
import { zeros } from '../files/write-tar.ts';
import type { Image } from '../images/image-store.ts';
import { imageStatus, isComplete } from '../images/inspect.ts';
import type { LayerSettings } from '../layers/layer-settings.ts';
import { type LayerStep, planUnpack } from '../layers/layer-steps.ts';
import type { Platform } from '../oci/descriptor.ts';
import { parseConfig } from '../oci/documents.ts';
import { platformText } from '../platforms/format.ts';
import { only } from '../platforms/match.ts';
import type { Call } from '../ports/call.ts';
import type { Codecs } from '../ports/codecs.ts';
import { isSymlink } from '../ports/syscalls.ts';
import type { Reference } from '../reference/reference.ts';
import type { ModelNode } from '../trees/model-node.ts';
import { type AskedPlatform, askImage, readDocument } from './ask.ts';
import { type GateOptions, passGate } from './gate.ts';
import type { StoreDeps } from './options.ts';
import type { ResolveDeps } from './resolve-platforms.ts';
import { planImage } from './unpack.ts';

/** An image whose files can be read. */
export interface OpenImage {
  readonly name: string;
  /** `linux/arm64/v8`. */
  readonly platform: string;
  readonly files: ImageFiles;
}

/** An image of a store that has all its layers for a platform; undefined otherwise. */
export async function openStored(
  deps: StoreDeps,
  image: Image | undefined,
  { platform, settings }: { readonly platform: Platform; readonly settings: LayerSettings },
  call: Call,
): Promise<OpenImage | undefined> {
  const { content } = deps.backend;
  if (image === undefined) return undefined;
  if (!isComplete(await imageStatus(content, image.target, only(platform), call))) return undefined;
  const planned = await planImage(deps, image, platform, call);
  const source: LayerSource = {
    open: (layer, { signal }) => content.open(layer.digest, { signal }),
    guard: (layer, { signal }, work) => withSoundBlob({ content }, layer, { signal }, work),
  };
  return opened(
    deps,
    { name: image.name, platform: planned.platform, steps: planned.steps },
    source,
    settings,
  );
}

export interface RemoteDeps extends ResolveDeps {
  readonly codecs: Codecs;
  readonly split?: SplitOptions | undefined;
}

export interface RemoteOptions extends AskedPlatform {
  readonly settings: LayerSettings;
  /** Who decides whether the image may be read; undefined: nobody has to be asked. */
  readonly gate?: GateOptions | undefined;
}

/** An image of a registry: its documents are read now, its layers when they are asked for. */
export async function openRemote(
  deps: RemoteDeps,
  given: Reference,
  { settings, gate, ...asked }: RemoteOptions,
  call: Call,
): Promise<OpenImage> {
  const reference = gate === undefined ? given : await admitted(deps, given, gate, asked, call);
  const { desc, config: configDesc, layers } = await askImage(deps, reference, asked, call);
  const { bytes } = await readDocument(deps, reference, configDesc, call);
  const config = parseConfig(bytes, configDesc);
  const steps = planUnpack(desc, [configDesc, ...layers], config.diffIds, deps.hashers);
  const platform = platformText(desc.platform ?? config.platform ?? asked.platform);
  const fetcher = deps.registry.fetcher(reference);
  const source: LayerSource = {
    open: async (layer, { signal }) => verifiedStream({ ...deps, fetcher }, layer, { signal }),
  };
  return opened(deps, { name: reference.name, platform, steps }, source, settings);
}

/** The reference to what was judged: what its tag names later does not count. */
async function admitted(
  { registry, report }: RemoteDeps,
  reference: Reference,
  gate: GateOptions,
  { platform }: AskedPlatform,
  call: Call,
): Promise<Reference> {
  const { root } = await registry.resolve(reference, call);
  const subject = { reference, root, platforms: [platform], evidence: registry.evidence(reference) };
  await passGate({ backend: {} }, gate, subject, { ...call, report });
  return { ...reference, digest: root.digest };
}

function opened(
  deps: Pick<StoreDeps, 'codecs' | 'hashers' | 'clock'>,
  { steps, ...image }: Omit<OpenImage, 'files'> & { readonly steps: readonly LayerStep[] },
  source: LayerSource,
  settings: LayerSettings,
): OpenImage {
  const { codecs, hashers, clock } = deps;
  const reader = new LayerReader({ codecs, hashers, clock }, source, settings);
  return { ...image, files: new ImageFiles(reader, steps) };
}

/** What a path of an image names. */
export interface Listing {
  /** Without symlinks on the way: where the entries are. */
  readonly path: ByteString;
  /** Of a directory what is in it; else the thing itself. */
  readonly entries: Iterable<TreeEntry>;
}

/** Reads all layers. A symlink at the end is followed when it leads to a directory. `deep`: what is below, too. */
export async function listFiles(
  { files }: OpenImage,
  path: string,
  { deep, ...call }: Call & { readonly deep: boolean },
): Promise<Listing> {
  const found = lookAt(await files.whole(call), fromUtf8(path));
  const isDir = found.node.children !== undefined;
  return { path: found.path, entries: isDir ? entriesOf(found, deep) : [found] };
}

/** What is at a path of a tree; a symlink only when it leads to no directory. */
function lookAt(root: ModelNode, path: ByteString): TreeEntry {
  const view = wholeView(root);
  let found = walk(view, path, { follow: false });
  if (found.is === 'other' && isSymlink(found.node)) {
    const target = ifThere(() => walk(view, path, { follow: true }));
    if (target?.is === 'directory') found = target;
  }
  if (found.is === 'unknown') throw new HawserError('Internal', 'the tree is not whole');
  return { path: found.path.join('/'), node: found.is === 'directory' ? found.dir : found.node };
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (err) {
    if (isKind(err, 'NotFound', 'FailedPrecondition', 'InvalidArgument')) return undefined;
    throw err;
  }
}

/**
 * Writes the contents of files, one after another. NotFound, or FailedPrecondition for what is no file, before anything is written; what
 * is written is verified: after a failure in the middle it is good, and not all.
 */
export async function writeFiles(
  { files }: OpenImage,
  paths: readonly string[],
  write: Write,
  call: Call,
): Promise<void> {
  const found = await files.find(paths.map(fromUtf8), call);
  for (const file of found) requireFile(file);
  for (const [at, file] of found.entries()) {
    if (file.is === 'other') await writeFile(files, paths[at] ?? '', file.node, write, call);
  }
}

/** The file at a path; symlinks are followed. NotFound, or FailedPrecondition for what is no file. */
export async function findFile({ files }: OpenImage, path: string, call: Call): Promise<ModelNode> {
  const [found] = await files.find([fromUtf8(path)], call);
  if (found === undefined) throw new HawserError('Internal', 'a path has no answer');
  requireFile(found);
  return found.node;
}

type Write = (bytes: Uint8Array) => Promise<void>;

async function writeFile(
  files: ImageFiles,
  path: string,
  node: ModelNode,
  write: Write,
  call: Call,
): Promise<void> {
  let written = 0;
  const size = node.content?.size ?? 0;
  try {
    for await (const event of files.content(node, call)) {
      for (const bytes of event.type === 'data' ? [event.bytes] : zeros(event.length)) {
        await write(bytes);
        written += bytes.length;
      }
    }
  } catch (err) {
    throw wrap(`${path}: only ${written} of its ${size} bytes were written`, err);
  }
}

const NAMES: Readonly<Record<FileType, string>> = {
  file: 'a file',
  directory: 'a directory',
  symlink: 'a symbolic link',
  char: 'a character device',
  block: 'a block device',
  fifo: 'a FIFO',
};

/** In words: `a block device`. */
export function nameOfType(type: FileType): string {
  return NAMES[type];
}

function requireFile(found: FoundFile): asserts found is Extract<FoundFile, { is: 'other' }> {
  const type = found.is === 'directory' ? 'directory' : typeOf(found.node);
  if (type === 'file') return;
  throw new HawserError('FailedPrecondition', `${pathText(found.path)} is ${nameOfType(type)}, and no file`, {
    hint: type === 'directory' ? `hawser files ls REF ${pathText(found.path)} lists it` : undefined,
  });
}
