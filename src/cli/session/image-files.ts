/** Shared by the commands that read the files of an image. */
import type { Backend } from '../../core/backend.ts';
import { isLayoutSource, referenceOf } from '../../core/carry/layout-source.ts';
import { findError, HawserError, hintOf, ifFound, isKind, messageOf } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { parseReference } from '../../core/reference/parse.ts';
import { type OpenImage, openRemote, openStored } from '../../core/verbs/files.ts';
import { passStoredGate } from '../../core/verbs/gate-stored.ts';
import type { NamesOf } from '../grammar/flag.ts';
import { PLATFORM } from '../grammar/flags.ts';
import { GATE_FLAGS } from '../grammar/gate-flags.ts';
import { LAYER_FLAGS, layerSettings } from '../grammar/layer-flags.ts';
import { NETWORK_FLAGS, REGISTRY_FLAGS } from '../grammar/registry-flags.ts';
import { PULL } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import { lineWriter } from '../render/trace.ts';
import { withRegistry } from './asking.ts';
import { type Context, warn, withStore } from './context.ts';
import { findImage } from './find-image.ts';
import { asksJudge, readingGate, storedGateOptions } from './gate.ts';
import { networkOptions } from './network-options.ts';
import { mayAsk, mustAsk, notHere, staleTag, unanswered } from './pull-policy.ts';
import { paceOf, platformsOf, storeDeps } from './transfer.ts';

export const FILES_FLAGS: readonly [
  typeof PLATFORM,
  typeof PULL,
  ...typeof LAYER_FLAGS,
  ...typeof REGISTRY_FLAGS,
  ...typeof NETWORK_FLAGS,
  ...typeof GATE_FLAGS,
] = [PLATFORM, PULL, ...LAYER_FLAGS, ...REGISTRY_FLAGS, ...NETWORK_FLAGS, ...GATE_FLAGS];
export type FilesFlag = NamesOf<typeof FILES_FLAGS>;

/** Opens the image `name` for `work`: of the store, when it is there with all its layers, else of its registry. */
export async function withImage<T>(
  context: Context<FilesFlag>,
  name: string,
  work: (image: OpenImage) => Promise<T>,
): Promise<T> {
  const { input, signal, runtime } = context;
  const [platform, ...more] = platformsOf(context) ?? [];
  if (more.length > 0) throw usageError('only one --platform can be given', 'Ask once for each');
  const options = {
    platform: platform ?? context.platform,
    named: platform !== undefined,
    settings: layerSettings(input),
  };
  const look = async (backend: Backend) => {
    const deps = storeDeps(context, backend);
    const wanted = platform ?? deps.hostPlatform;
    const record = await ifFound(findImage(backend.images, name, { signal }));
    const image = await openStored(deps, record, { ...options, platform: wanted }, { signal });
    if (image === undefined || record === undefined) return undefined;
    if (!(await mayBeRead(context, backend, record, wanted))) return undefined;
    const stale = mayAsk(context) ? staleTag(context, record) : undefined;
    if (stale !== undefined) await warn(context, `warning: ${stale}`);
    return { result: await work(image) };
  };
  const stored = mustAsk(context) ? {} : await inStore(context, look);
  if (stored.found !== undefined) return stored.found.result;
  const reference = await referenceOf(runtime, name, { signal });
  if (reference.layout === undefined && !mayAsk(context)) throw stored.denied ?? notHere(name);
  const gate = await readingGate(context);
  try {
    return await withRegistry(context, reference, async (asking) => {
      const remote = { ...asking, codecs: runtime.codecs, ...paceOf(networkOptions(input)) };
      return await work(await openRemote(remote, reference, { ...options, gate }, { signal }));
    });
  } catch (err) {
    throw withDenied(unanswered(context, err), stored.denied);
  }
}

/** Whether who is asked lets the image be read, by the signatures in the store. False: those at the registry may do. */
async function mayBeRead(
  context: Context<FilesFlag>,
  backend: Backend,
  { name, target: root }: Image,
  platform: Platform,
): Promise<boolean> {
  if (!asksJudge(context)) return true;
  const { signal } = context;
  const subject = { reference: parseReference(name), root, platforms: [platform] };
  const gate = { ...storedGateOptions(context), skipNodeVerifiers: true };
  try {
    await passStoredGate({ backend }, gate, subject, { signal, registry: undefined });
    return true;
  } catch (err) {
    signal.throwIfAborted();
    if (!mayAsk(context)) throw err;
    return false;
  }
}

/** Of an image that the registry denies: what the store would take, which may have the image. */
function withDenied(err: unknown, denied: unknown): unknown {
  const [hint, more] = [hintOf(err), hintOf(denied)];
  if (more === undefined || !isKind(err, 'PermissionDenied')) return err;
  return new HawserError('PermissionDenied', messageOf(err), {
    cause: err,
    hint: hint === undefined ? more : `${hint}; to read the store: ${more}`,
    reason: findError(err)?.reason,
  });
}

interface Looked<T> {
  readonly found?: T | undefined;
  /** Why the store could not be read. */
  readonly denied?: unknown;
}

/** Runs `look` in the store; a store that this process may not read is none. */
async function inStore<T>(
  context: Context,
  look: (backend: Backend) => Promise<T | undefined>,
): Promise<Looked<T>> {
  let isOpen = false;
  try {
    const found = await withStore(context, async (backend) => {
      isOpen = true;
      return await look(backend);
    });
    return { found };
  } catch (err) {
    if (isOpen || !isKind(err, 'PermissionDenied')) throw err;
    return { denied: err };
  }
}

/** Without a path, a transport is no image. */
const TRANSPORTS: ReadonlySet<string> = new Set(['oci', 'oci-archive', 'docker-archive', 'dir']);

/** `REF:/PATH`, in which REF may have a port and a tag, and be a layout (`oci:/DIR:/PATH`). */
export function splitPath(text: string): { readonly name: string; readonly path: string } {
  const at = isLayoutSource(text) ? text.lastIndexOf(':/') : text.indexOf(':/');
  const name = text.slice(0, Math.max(at, 0));
  if (name !== '' && !TRANSPORTS.has(name)) return { name, path: text.slice(at + 1) };
  throw usageError(`"${text}" does not say what to copy`, 'Name an image and a path in it: REF:/PATH');
}

/** Writes each warning to standard error. */
export function warner({ stderr }: Pick<Context, 'stderr'>): (message: string) => void {
  const tell = lineWriter(stderr);
  return (message) => tell(`warning: ${message}`);
}
