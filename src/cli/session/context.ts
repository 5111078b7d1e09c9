/** What a command works with: the runtime, its input, its signal, its streams, its store. */
import { chooseRoot } from '../../backends/local/default-root.ts';
import { checkIdentifier } from '../../backends/local/identifiers.ts';
import { lossWarning } from '../../backends/local/lost.ts';
import type { LocalBackend, LocalOptions } from '../../backends/local/open.ts';
import { absolutePath } from '../../core/absolute-path.ts';
import { cleaningUp } from '../../core/async/cleanup.ts';
import type { Backend } from '../../core/backend.ts';
import { HawserError, messageOf, wrap } from '../../core/errors.ts';
import type { Platform } from '../../core/oci/descriptor.ts';
import { hostPlatform } from '../../core/platforms/host.ts';
import type { Output } from '../../core/ports/host.ts';
import type { Runtime } from '../../core/runtime.ts';
import { ADDRESS, CONTENT_SHARING, type GlobalFlag, NAMESPACE, ROOT } from '../grammar/flags.ts';
import type { Input } from '../grammar/input.ts';
import { usageError } from '../grammar/usage-error.ts';
import { redact, safe } from '../render/text.ts';
import { renderView } from '../render/view.ts';
import type { View } from '../views/view.ts';
import { pipeAware } from './pipe-aware.ts';
import type { Services } from './services.ts';

/** `F`: the flags of the command, besides the global ones. */
export interface Context<F extends string = never> {
  readonly runtime: Runtime;
  readonly services: Services;
  readonly input: Input<F | GlobalFlag>;
  readonly signal: AbortSignal;
  /** The best that this machine runs. */
  readonly platform: Platform;
  readonly stdout: Output;
  readonly stderr: Output;
}

export function makeContext(
  runtime: Runtime,
  services: Services,
  input: Input<string>,
  signal: AbortSignal,
): Context<string> {
  const { host } = runtime;
  const platform = hostPlatform(host);
  const [stdout, stderr] = [pipeAware(host.stdout), pipeAware(host.stderr)];
  return { runtime, services, input, signal, platform, stdout, stderr };
}

/**
 * Opens the store for `work`, or (--address) connects to a containerd; closes the store or the connection afterwards.
 */
export async function withBackend<T>(
  context: Context,
  work: (backend: Backend) => Promise<T>,
  access: Access = {},
): Promise<T> {
  const address = containerdAddress(context);
  if (address === undefined) return await withLocalBackend(context, work, access);
  return await withContainerd(context, { address, namespace: namespaceOf(context.input) }, work);
}

/** What is done to a store of our own (LocalOptions). */
type Access = Pick<LocalOptions, 'readOnly' | 'existing'>;

/** Like `withBackend`, for what only changes, sends or removes what is there: makes no store where there is none. */
export async function withExisting<T>(
  context: Context,
  work: (backend: Backend) => Promise<T>,
  { readOnly }: Pick<Access, 'readOnly'> = {},
): Promise<T> {
  return await withBackend(context, work, { readOnly, existing: true });
}

/** Connects to the containerd of this socket for `work`. */
export async function withContainerd<T>(
  context: Context,
  place: { readonly address: string; readonly namespace: string },
  work: (backend: Backend) => Promise<T>,
): Promise<T> {
  const { runtime, signal } = context;
  const options = { ...place, signal };
  const backend = await context.services.backends.containerd(runtime, options);
  return await cleaningUp(
    () => work(backend),
    () => backend[Symbol.asyncDispose](),
    late(context, 'closing the store'),
  );
}

/** Like `withBackend`, for work that needs a store of our own; warns of a lost database. NotImplemented with --address. */
export async function withLocalBackend<T>(
  context: Context,
  work: (backend: LocalBackend) => Promise<T>,
  access: Access = {},
): Promise<T> {
  const warned = async (backend: LocalBackend): Promise<T> => {
    const loss = lossWarning(backend.lostIndexes);
    if (loss !== undefined) await warn(context, `warning: ${loss}`);
    return await work(backend);
  };
  return await recoveringLocalBackend(context, warned, access);
}

/** Like `withLocalBackend`, for whoever knows of the loss. */
export async function recoveringLocalBackend<T>(
  context: Context,
  work: (backend: LocalBackend) => Promise<T>,
  access: Access = {},
): Promise<T> {
  const root = localRoot(context);
  const namespace = namespaceOf(context.input);
  if (FOREIGN_NAMESPACES.has(namespace) && context.input.get(ROOT) === undefined)
    await warn(context, foreignNamespace(namespace, root));
  const { runtime, signal } = context;
  const contentSharing = context.input.get(CONTENT_SHARING);
  const options = { root, namespace, signal, ...access, contentSharing };
  const backend = await context.services.backends.local(runtime, options);
  return await cleaningUp(
    () => work(backend),
    () => backend[Symbol.asyncDispose](),
    late(context, 'closing the store'),
  );
}

/** The directory of our own store. NotImplemented with --address. */
export function localRoot(context: Context): string {
  const address = containerdAddress(context);
  if (address !== undefined)
    throw notInContainerd(context.input, `it takes a store of hawser’s own, not containerd’s at ${address}`);
  return chooseRoot(context.input.get(ROOT), context.runtime.host);
}

/** Where the store of the command is: a directory, or the socket of a containerd. */
export function storePlace(context: Context): string {
  return containerdAddress(context) ?? localRoot(context);
}

/** Whoever names one of these without a store is likely to mean containerd's (Kubernetes, Docker). */
const FOREIGN_NAMESPACES: ReadonlySet<string> = new Set(['k8s.io', 'moby']);

function foreignNamespace(namespace: string, root: string): string {
  return `warning: this is the namespace ${namespace} of hawser's own store, ${root}, not containerd's; to work in containerd add --address /run/containerd/containerd.sock`;
}

/** Like `withBackend`, for commands that only read: nothing is created or changed, and a missing store counts as an empty one. */
export async function withStore<T>(context: Context, work: (backend: Backend) => Promise<T>): Promise<T> {
  return await withBackend(context, work, { readOnly: true });
}

/** Writes a view to standard output. */
export async function show({ stdout }: Pick<Context, 'stdout'>, view: View): Promise<void> {
  const text = renderView(view, stdout.columns());
  if (text !== '') await stdout.write(text);
}

/** Writes one line to standard error. */
export async function warn(context: Pick<Context, 'stderr'>, message: string): Promise<void> {
  await context.stderr.write(`${safe(redact(message))}\n`);
}

/** For a failure after the work is done, and when its result holds. `doing`: what failed. */
export function late(context: Pick<Context, 'stderr'>, doing: string): (failure: unknown) => Promise<void> {
  return (failure) => warn(context, `warning: ${doing}: ${messageOf(failure)}`).catch(() => {});
}

/** `usual`: of a command line that names none. */
export function namespaceOf(input: Input<GlobalFlag>, usual = 'default'): string {
  const name = input.get(NAMESPACE) ?? usual;
  try {
    checkIdentifier(name);
    return name;
  } catch (err) {
    throw wrap('namespace validation', err, 'Choose another with --namespace, or unset CONTAINERD_NAMESPACE');
  }
}

/** The socket of the containerd that is named; undefined for our own store. What is nearer to the user goes first: --root before CONTAINERD_ADDRESS. */
export function containerdAddress(context: Context): string | undefined {
  const { input } = context;
  const address = input.get(ADDRESS);
  if (address === undefined || address === '') return undefined;
  if (input.has(ROOT) && input.has(ADDRESS)) throw usageError('cannot specify both --root and --address');
  if (input.rank(ROOT) < input.rank(ADDRESS)) return undefined;
  // containerd's own configuration decides about sharing: a flag without effect is refused.
  if (input.get(CONTENT_SHARING) === 'isolated')
    throw notInContainerd(input, '--content-sharing has no effect there');
  return address.startsWith('unix:') ? address : absolutePath(address, context.runtime.host);
}

function notInContainerd(input: Input<GlobalFlag>, why: string): HawserError {
  const { from = '' } = input.find(ADDRESS) ?? {};
  const otherwise = `${from.includes(' ') ? 'Take out' : 'Unset'} ${from}, or name a store with --root: hawser then uses its own`;
  const hint = input.has(ADDRESS)
    ? 'Leave --address away: hawser then uses its own store (--root)'
    : otherwise;
  return new HawserError('NotImplemented', `Cannot do this inside containerd: ${why}`, { hint });
}

const FLAG_FILE_HINT =
  'The flag takes the path of a file of at most 1 MiB; a relative path begins at the working directory';

/** The text of a file that a flag names, at most 1 MiB. Errors have ctr's words. */
export async function readFlagFile(context: Context, path: string): Promise<string> {
  try {
    const { fs } = context.runtime;
    const bytes = await fs.readFile(absolutePath(path, context.runtime.host), 1 << 20, {
      signal: context.signal,
    });
    return new TextDecoder().decode(bytes);
  } catch (err) {
    throw wrap(`failed to read "${path}"`, err, FLAG_FILE_HINT);
  }
}
