/** The library's view into images: their files, and their blobs, without unpacking. */
import { cancelSignal } from '../core/async/abort.ts';
import { closingStream } from '../core/async/byte-stream.ts';
import { cleanedUp } from '../core/async/cleanup.ts';
import { endingIteration } from '../core/async/iteration.ts';
import { ifFound } from '../core/errors.ts';
import { type LayerSettings, settingsOf } from '../core/layers/layer-settings.ts';
import { isDigest } from '../core/oci/digest.ts';
import type { Call } from '../core/ports/call.ts';
import { type OpenImage, openRemote, openStored } from '../core/verbs/files.ts';
import type { ApiRegistryOptions } from './api.ts';
import { type ApiAskOptions, ASK_NAMES, type OpenAsking, openAsking, storeBefore } from './asking.ts';
import { called, checkNames, LAYER_NAMES, type OptionNames, spelled } from './called.ts';
import { fileOf, type ImageFile, imageFiles } from './image-file.ts';
import { checkDurations } from './network-options.ts';
import { spelledOptions } from './option-hints.ts';
import { type Asking, asked, blobOf } from './questions.ts';
import { partsOf } from './stores.ts';

/** What `open` takes. */
export interface ApiOpenOptions extends ApiRegistryOptions, Pick<LayerSettings, 'codec' | 'limits'> {
  /** Where the image is read when it is there with all its layers. Default: none, so that the image comes from its registry. */
  readonly store?: ApiAskOptions['store'];
  /** `linux/arm64`. Default: the host's. */
  readonly platform?: string | undefined;
}

/** What `files` takes. */
export interface ApiFilesOptions extends ApiOpenOptions {
  /** A directory or a file of the image. Default: `/`. */
  readonly path?: string | undefined;
}

const OPEN_NAMES: OptionNames<ApiOpenOptions> = {
  ...ASK_NAMES,
  codec: LAYER_NAMES.codec,
  limits: LAYER_NAMES.limits,
  platform: true,
};
const FILES_NAMES: OptionNames<ApiFilesOptions> = { ...OPEN_NAMES, path: true };

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
export function files(reference: string, options: ApiFilesOptions = {}): AsyncGenerator<ImageFile> {
  return endingIteration(options.signal, (signal) =>
    spelled(filesOf(reference, spelledOptions({ ...options, signal }))),
  );
}

async function* filesOf(
  reference: string,
  options: ApiFilesOptions & { readonly signal: AbortSignal },
): AsyncGenerator<ImageFile> {
  checkNames(FILES_NAMES, options);
  checkDurations(options);
  const { signal, path = '/' } = options;
  signal.throwIfAborted();
  const opening = await opened(reference, options, async ({ asking, close }) => ({
    image: await imageOf(asking, options, { signal }),
    close,
  }));
  yield* imageFiles(opening, path, signal);
}

/**
 * The bytes of a file of an image, or of a blob of its repository: a digest names a blob, all else is a path, whose symlinks are followed
 * inside the image. No more layers are read than finding the file takes, from the top. Reading the stream to its end, or cancelling it, gives
 * back what it holds.
 *
 * Errors are those of `fetch`; NotFound without the file or the blob, FailedPrecondition for a path that is no file. What the stream gives
 * of a file is verified; of a blob the end is the proof: DataLoss there, where the bytes are not those of the digest.
 *
 * ```ts
 * const text = await new Response(await open('alpine:3.20', '/etc/os-release')).text();
 * ```
 */
export async function open(
  reference: string,
  pathOrDigest: string,
  options: ApiOpenOptions = {},
): Promise<ReadableStream<Uint8Array>> {
  return await called(OPEN_NAMES, options, async (options) => {
    checkDurations(options);
    const { signal, stop } = cancelSignal(options.signal);
    const call = { signal };
    try {
      return await opened(reference, { ...options, signal }, async ({ asking, close }) => {
        const stream = isDigest(pathOrDigest)
          ? await blobOf(storeBefore(asking, options.store), pathOrDigest, call)
          : await fileOf(await imageOf(asking, options, call), pathOrDigest, call);
        const end = async (): Promise<void> => {
          stop();
          await close();
        };
        return closingStream(stream, end, signal);
      });
    } catch (err) {
      stop();
      throw err;
    }
  });
}

/** What `work` returns closes what was opened; after a failure that is closed here. */
async function opened<T>(
  text: string,
  options: ApiOpenOptions,
  work: (open: OpenAsking) => Promise<T>,
): Promise<T> {
  const open = await openAsking(text, options);
  try {
    return await work(open);
  } catch (err) {
    throw await cleanedUp(err, open.close);
  }
}

/** An image of the store, where it is there with all its layers, else of the registry. */
async function imageOf(asking: Asking, options: ApiOpenOptions, call: Call): Promise<OpenImage> {
  const { reference } = asking;
  const { platform, named } = asked(asking, options.platform);
  const settings = settingsOf(options);
  if (options.store !== undefined && reference.layout === undefined) {
    const { backend, runtime } = partsOf(options.store);
    const { clock, hashers, codecs, host } = runtime;
    const deps = { backend, clock, hashers, codecs, hostPlatform: platform, cpus: host.cpus };
    const record = await ifFound(backend.images.get(reference.name, call));
    const image = await openStored(deps, record, { platform, settings }, call);
    if (image !== undefined) return image;
  }
  return await openRemote(asking, reference, { platform, named, settings }, call);
}
