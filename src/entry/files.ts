/** The library's view into images: their files, without unpacking. */
import { canceling } from '../core/async/abort.ts';
import { byteStream } from '../core/async/byte-stream.ts';
import { cleanedUp, closingAfter } from '../core/async/cleanup.ts';
import { display, toBytes } from '../core/bytes.ts';
import { referenceOf } from '../core/carry/layout-source.ts';
import { withLayouts } from '../core/carry/with-layouts.ts';
import { HawserError, ifFound } from '../core/errors.ts';
import type { ContentPiece } from '../core/files/contents.ts';
import { type FileType, type TreeEntry, typeOf } from '../core/files/entries.ts';
import { zeros } from '../core/files/write-tar.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import { defaultPlatform, hostPlatform } from '../core/platforms/host.ts';
import { parsePlatform } from '../core/platforms/parse.ts';
import type { Call } from '../core/ports/call.ts';
import { listFiles, type OpenImage, openRemote, openStored } from '../core/verbs/files.ts';
import { type ApiRegistryOptions, type ApiTransferOptions, checkDurations, registryOf } from './api.ts';
import { defaultRuntime } from './library.ts';
import { partsOf } from './stores.ts';

/** Something in an image. */
export interface ImageFile {
  /** From the root: `/etc/passwd`. What is not UTF-8 is shown as U+FFFD. */
  readonly path: string;
  /** What the thing is; of a symlink, not of what the symlink leads to. */
  readonly type: FileType;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  /** The owner, as the image says. */
  readonly uid: number;
  /** The group, as the image says. */
  readonly gid: number;
  /** Bytes of a file, holes included; else 0. */
  readonly size: number;
  /** Seconds since 1970, and nanoseconds. */
  readonly mtime: { readonly sec: number; readonly nsec: number };
  /** Of a symlink; else ''. */
  readonly target: string;
  /** How many names a file has. */
  readonly links: number;
  /**
   * The bytes of a file, all of them verified, read at the reader's speed; while the iteration lasts. The layer is read again up to the
   * file, unless it is small. FailedPrecondition for what is no file.
   */
  content(call?: Call): ReadableStream<Uint8Array>;
}

/** What `files` takes. */
export interface ApiFilesOptions extends ApiRegistryOptions, Pick<LayerSettings, 'codec' | 'limits'> {
  /** Where the image is read when it is there with all its layers. Default: none, so that the image comes from its registry. */
  readonly store?: ApiTransferOptions['store'];
  /** `linux/arm64`. Default: the host's. */
  readonly platform?: string | undefined;
  /** A directory or a file of the image. Default: `/`. */
  readonly path?: string | undefined;
}

/**
 * What is in an image at `path`, and (of a directory) all that is below: sorted, each directory before what is in it. Nothing is stored
 * or unpacked. All layers are read before the first entry, and verified; memory is taken for names and attributes.
 *
 * ```ts
 * for await (const file of files('docker.io/library/alpine:3.20', { path: '/etc' })) console.log(file.path, file.size);
 * ```
 *
 * Errors are those of `fetch`; NotFound when there is no such path.
 */
export async function* files(reference: string, options: ApiFilesOptions = {}): AsyncGenerator<ImageFile> {
  checkDurations(options);
  const opening = await canceling(options.signal, (signal) => open(reference, { ...options, signal }));
  const { image, close } = opening;
  try {
    const listing = await canceling(options.signal, (signal) =>
      listFiles(image, options.path ?? '/', { deep: true, signal }),
    );
    for (const entry of listing.entries) {
      // An abort between two entries ends the iteration as one inside a call does.
      await canceling(options.signal, async (signal) => signal?.throwIfAborted());
      yield imageFile(image, entry, options);
    }
  } finally {
    await close().catch(() => {});
  }
}

interface Opening {
  readonly image: OpenImage;
  close(): Promise<void>;
}

async function open(text: string, options: ApiFilesOptions): Promise<Opening> {
  const parts = options.store && partsOf(options.store);
  const runtime = parts?.runtime ?? (await defaultRuntime());
  const { clock, hashers, codecs, host } = runtime;
  const given =
    options.platform === undefined ? undefined : parsePlatform(options.platform, hostPlatform(host));
  const call = { signal: options.signal };
  const settings = settingsOf(options);
  const reference = await referenceOf(runtime, text, call);
  if (parts !== undefined) {
    const { backend } = parts;
    const platform = given ?? defaultPlatform(backend, host);
    const deps = { backend, clock, hashers, codecs, hostPlatform: platform, cpus: host.cpus };
    const record = await ifFound(backend.images.get(reference.name, call));
    const image = await openStored(deps, record, { platform, settings }, call);
    if (image !== undefined) return { image, close: async () => {} };
  }
  const registry = withLayouts(registryOf(runtime, reference, options), runtime);
  const close = async (): Promise<void> => {
    await closingAfter(
      async () => await registry[Symbol.asyncDispose](),
      async () => await (parts === undefined ? runtime.workers[Symbol.asyncDispose]() : undefined),
    );
  };
  const { onProgress: report = () => {}, retry, limitRate } = options;
  const split = limitRate === undefined ? undefined : { lanes: 1 };
  const remote = { registry, clock, hashers, codecs, report, retry, split };
  const asked = { platform: given ?? hostPlatform(host), named: given !== undefined, settings };
  try {
    return { image: await openRemote(remote, reference, asked, call), close };
  } catch (err) {
    throw await cleanedUp(err, close);
  }
}

function imageFile({ files: all }: OpenImage, { path, node }: TreeEntry, { signal }: Call): ImageFile {
  const { mode, uid, gid, mtime, target, nlink } = node;
  const type = typeOf(node);
  const text = new TextDecoder();
  return {
    path: `/${text.decode(toBytes(path))}`,
    ...{ type, mode: mode & 0o7777, uid, gid, mtime },
    size: node.content?.size ?? 0,
    target: text.decode(toBytes(target)),
    links: type === 'directory' ? 1 : nlink,
    content: (call = {}) => {
      if (type === 'file') return contentStream(all.content(node, { signal: call.signal ?? signal }));
      throw new HawserError('FailedPrecondition', `/${display(path)} is no file, but a ${type}`);
    },
  };
}

function contentStream(pieces: AsyncGenerator<ContentPiece>): ReadableStream<Uint8Array> {
  const bytes = bytesOf(pieces);
  return byteStream({
    next: async () => (await bytes.next()).value,
    cancel: async () => void (await bytes.return(undefined)),
  });
}

async function* bytesOf(pieces: AsyncGenerator<ContentPiece>): AsyncGenerator<Uint8Array, undefined> {
  for await (const piece of pieces) {
    if (piece.type === 'hole') yield* zeros(piece.length);
    // The reader may keep the bytes.
    else yield new Uint8Array(piece.bytes);
  }
  return undefined;
}
