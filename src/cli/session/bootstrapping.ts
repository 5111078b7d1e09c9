/** `bootstrap`: what archives and lists name, into the containerd of a node, ready for its kubelet. */
import { absolutePath } from '../../core/absolute-path.ts';
import { IMAGE_DIRECTORIES, type NodeSource, nodeSources } from '../../core/carry/node-sources.ts';
import { HawserError, reasonOf } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import type { ImageList, Listed } from '../../core/lists/list.ts';
import { isSamePlatform } from '../../core/platforms/format.ts';
import type { Call } from '../../core/ports/call.ts';
import type { FileSystem } from '../../core/ports/file-system.ts';
import type { Report } from '../../core/progress/events.ts';
import type { NamedRoot } from '../../core/trust/verdict.ts';
import { markedImages, markImages } from '../../core/verbs/bundle-marks.ts';
import { passStoredGate } from '../../core/verbs/gate-stored.ts';
import { importImages } from '../../core/verbs/import.ts';
import { type Ended, transferMany } from '../../core/verbs/many.ts';
import type { PullOptions, StoreDeps, TransferDeps } from '../../core/verbs/options.ts';
import { readyImage } from '../../core/verbs/ready.ts';
import { Recorder, type RecordOptions } from '../../core/verbs/record.ts';
import {
  ARCHIVE_FLAGS,
  type ArchiveFlag,
  BASE_NAME,
  COMPLETE_ONLY,
  NAME,
  SKIP_BAD,
} from '../grammar/archive-flags.ts';
import { JOBS, PLATFORM, SNAPSHOTTER } from '../grammar/flags.ts';
import { type LayerFlag, layerSettings } from '../grammar/layer-flags.ts';
import { FAIL_FAST } from '../grammar/list-flags.ts';
import { ALL_PLATFORMS, FOR_CRI, PIN, type TransferFlag } from '../grammar/transfer-flags.ts';
import { usageError } from '../grammar/usage-error.ts';
import type { BootstrappedImage } from '../views/bootstrapped.ts';
import { archiveInput } from './archive-input.ts';
import { type Context, warn } from './context.ts';
import { asksJudge, storedGateOptions } from './gate.ts';
import { imagesOf } from './image-lists.ts';
import type { Node } from './node.ts';
import { commonOptions, fetchingOptions, paceOf, storeDeps, withRegistry } from './transfer.ts';
import { checkCredentials, wantedOf } from './transfer-many.ts';

export type BootstrapFlag =
  | TransferFlag
  | LayerFlag
  | ArchiveFlag
  | 'snapshotter'
  | 'jobs'
  | 'fail-fast'
  | 'json';
export type BootstrapContext = Context<BootstrapFlag>;
/** How one image, or one archive, ended. */
export type BootstrapEnd = Ended<BootstrappedImage>;

/** What a node is to be filled with. */
export interface NodeContent {
  /** Standard input has the path `-`. */
  readonly archives: readonly NodeSource[];
  readonly list: ImageList;
}

const STANDARD_INPUT = '-';

/** Reads the lists, and looks at what the arguments are; without arguments at the directories of k3s, RKE2 and k0s. */
export async function nodeContent(context: BootstrapContext): Promise<NodeContent> {
  const { input, runtime, signal } = context;
  const { fs, host } = runtime;
  const named = input.args.filter((path) => path !== STANDARD_INPUT).map((path) => absolutePath(path, host));
  const paths = input.args.length > 0 ? named : await usualDirectories(context);
  const { sources, leftOut } = await nodeSources(fs, paths, { signal });
  for (const message of leftOut) await warn(context, `warning: ${message}`);
  const piped = input.args.includes(STANDARD_INPUT)
    ? [{ type: 'archive', path: STANDARD_INPUT } as const]
    : [];
  const archives = [...piped, ...sources.filter(({ type }) => type === 'archive')];
  const lists = sources.flatMap(({ type, path }) => (type === 'list' ? [path] : []));
  if (input.get(NAME) !== undefined && archives.length !== 1)
    throw usageError('--name is for one archive', 'Leave --name away: an archive names its images');
  const list = await imagesOf(context, [], lists, { keepsGoing: true });
  for (const message of list.warnings) await warn(context, `warning: ${message}`);
  return { archives, list };
}

async function usualDirectories({ runtime: { fs }, signal }: BootstrapContext): Promise<string[]> {
  const found: string[] = [];
  for (const path of IMAGE_DIRECTORIES) if (await mayHaveImages(fs, path, signal)) found.push(path);
  if (found.length > 0) return found;
  throw usageError(
    'please provide an archive, a layout, a list or a directory of them',
    `Without one hawser takes ${IMAGE_DIRECTORIES.join(', ')}, and none of these is here`,
  );
}

/** Whether it is a directory, or one that cannot be looked at: then filling the node tells why. */
async function mayHaveImages(fs: FileSystem, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await fs.stat(path, { follow: true, signal }))?.type === 'directory';
  } catch {
    signal.throwIfAborted();
    return true;
  }
}

/** Archives one after another, each with all cores; then what the lists name and is not here. A failure stops the others with --fail-fast only. */
export async function fillNode(
  context: BootstrapContext,
  node: Node,
  { archives, list }: NodeContent,
  report: Report,
): Promise<BootstrapEnd[]> {
  const ended: BootstrapEnd[] = [];
  if (context.input.get(FAIL_FAST) && list.errors.length > 0) return ended;
  for (const archive of archives) {
    ended.push(...(await fromArchive(context, node, archive, report)));
    if (context.input.get(FAIL_FAST) && ended.some(({ error }) => error !== undefined)) return ended;
  }
  ended.push(...(await fromList(context, node, list.images, report)));
  return ended;
}

/** Pinned, and recorded for CRI, unless the user says otherwise. */
function recordedAs({ input }: BootstrapContext): RecordOptions {
  return {
    forCri: input.find(FOR_CRI) === undefined || input.get(FOR_CRI),
    pin: input.find(PIN) === undefined || input.get(PIN),
  };
}

function pullOptions(context: BootstrapContext): Omit<PullOptions, 'reference'> {
  const { input } = context;
  return {
    ...commonOptions(context),
    ...recordedAs(context),
    snapshotter: input.get(SNAPSHOTTER),
    layerSettings: { ...layerSettings(input), jobs: input.get(JOBS) },
  };
}

async function fromArchive(
  context: BootstrapContext,
  { backend }: Node,
  { path, version }: NodeSource,
  report: Report,
): Promise<BootstrapEnd[]> {
  const { runtime, signal } = context;
  const deps = { ...storeDeps(context, backend), runtime };
  const options = { ...pullOptions(context), ...namesOf(context), report };
  const mark = version !== undefined && isUsual(context) ? { path, version } : undefined;
  try {
    // Anew for each: the archive before may have moved names, and what they named is collected.
    const before = await backend.images.list({ signal });
    const known = mark && (await markedImages(deps, mark, before, options));
    if (known !== undefined) {
      const again: BootstrapEnd[] = [];
      for (const image of known)
        again.push({ name: image.name, result: await recordAgain(deps, image, path, options) });
      return again;
    }
    const { images } = await importImages(deps, { ...options, from: archiveInput(context, path) });
    if (mark !== undefined) await markImages(deps, mark, images, { signal });
    const targets = new Map(before.map(({ name, target }) => [name, target.digest]));
    return images.map(({ name, target, also }) => {
      const state = targets.get(name) === target.digest ? 'present' : 'imported';
      return { name, result: { name, target, also, state, source: path } };
    });
  } catch (error) {
    signal.throwIfAborted();
    return [{ name: '', error }];
  }
}

/** What the flags say of the names in an archive. */
function namesOf({ input }: BootstrapContext) {
  return {
    baseName: input.get(BASE_NAME),
    name: input.get(NAME),
    skipBadNames: input.get(SKIP_BAD),
    completeOnly: input.get(COMPLETE_ONLY),
  };
}

/** Whether an archive brings what it brought before: the flags that have a say in that, or in whether it may, are not used. */
function isUsual(context: BootstrapContext): boolean {
  const { input } = context;
  return (
    !asksJudge(context) &&
    ![...ARCHIVE_FLAGS, PLATFORM, ALL_PLATFORMS].some((flag) => input.find(flag) !== undefined)
  );
}

/** Of an image that is here: its names for CRI, and what the flags say of its records. AlreadyExists for a name that has moved meanwhile. */
async function recordAgain(
  deps: StoreDeps,
  { name: given, target }: Pick<Image, 'name' | 'target'>,
  source: string,
  { report = () => {}, signal, ...options }: Omit<PullOptions, 'reference'>,
): Promise<BootstrappedImage> {
  const recorder = new Recorder(deps, options, { report, signal });
  const wanted = { name: given, target, labels: options.labels ?? {}, keepsOther: true };
  const { name, also } = await recorder.record(wanted, () => {});
  return { name, target, also, state: 'present', source };
}

async function fromList(
  context: BootstrapContext,
  { backend }: Node,
  listed: readonly Listed[],
  report: Report,
): Promise<BootstrapEnd[]> {
  const { input, services } = context;
  const common = pullOptions(context);
  const { wanted, refused } = wantedOf(context, listed, common);
  const [first] = wanted;
  const bad = refused.map((error) => ({ name: '', error }));
  if (first === undefined) return bad;
  checkCredentials(context, listed);
  const sources = new Map(listed.map(({ reference, at }) => [reference.name, at]));
  const registryOpts = await fetchingOptions(context, first.options.reference);
  const options = {
    common: { ...common, ...paceOf(registryOpts), report },
    jobs: input.get(JOBS),
    failFast: input.get(FAIL_FAST),
  };
  const ended = await withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
    transferMany<BootstrappedImage>(deps, wanted, options, async (shared, own) => {
      const { reference, signal } = own;
      const source = sources.get(reference.name) ?? '';
      const { snapshotter, layerSettings } = common;
      const ready = isForMachine(shared, own)
        ? await readyImage(shared, reference, { snapshotter, signal })
        : undefined;
      if (ready !== undefined)
        await judgePresent(context, shared, { reference, root: ready.target }, { report, signal });
      if (ready !== undefined)
        return await recordAgain(shared, { name: reference.name, target: ready.target }, source, own);
      return {
        ...(await services.pull(shared, { ...own, snapshotter, layerSettings })),
        state: 'pulled',
        source,
      };
    }),
  );
  return [...bad, ...ended];
}

/** An image that is here came in by what held then; it is judged once more where the flags say so. */
async function judgePresent(
  context: BootstrapContext,
  deps: TransferDeps,
  { reference, root }: NamedRoot,
  call: Call & { readonly report: Report },
): Promise<void> {
  if (!asksJudge(context)) return;
  const subject = { reference, root, platforms: [deps.hostPlatform] };
  const registry = deps.registry.evidence(reference);
  await passStoredGate(deps, storedGateOptions(context), subject, { ...call, registry });
}

/** Whether nothing but the image of this machine is wanted. */
function isForMachine(
  { hostPlatform }: Pick<StoreDeps, 'hostPlatform'>,
  { platforms = [] }: Pick<PullOptions, 'platforms'>,
): boolean {
  return platforms !== 'all' && platforms.every((platform) => isSamePlatform(platform, hostPlatform));
}

/** The error of the command: `lacks` when nothing else is wrong. */
export function failureOf(errors: readonly unknown[], all: number): HawserError {
  const lacks = errors.map((error) => reasonOf(error, 'lacks'));
  const [reason] = lacks;
  const message = `${errors.length} of ${all} images or archives failed`;
  if (reason === undefined || lacks.includes(undefined))
    return new HawserError('FailedPrecondition', message);
  return new HawserError('NotFound', message, { reason });
}
