import type { Backend } from '../../core/backend.ts';
import { HawserError, wrap } from '../../core/errors.ts';
import { imageSource } from '../../core/images/image-source.ts';
import type { Image } from '../../core/images/image-store.ts';
import type { Report } from '../../core/progress/events.ts';
import type { Reference } from '../../core/reference/reference.ts';
import type { RegistryOptions } from '../../core/registry/open.ts';
import type { Registry } from '../../core/registry/registry.ts';
import type { RepairReport } from '../../core/verbs/repair.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { LIMIT_RATE } from '../grammar/registry-flags.ts';
import { FETCH_FLAGS, type FetchFlag } from '../grammar/transfer-flags.ts';
import { JSON_REPORT } from '../grammar/verify-flags.ts';
import { type Context, warn, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { fetchingOptions, paceOf, storeDeps, withRegistry } from '../session/transfer.ts';
import { checkCredentials } from '../session/transfer-many.ts';
import { verifyProgress } from '../session/verifying.ts';
import { type Command, command } from './command.ts';

type RepairContext = Context<FetchFlag | 'snapshotter' | 'json'>;

interface Wanted {
  readonly image: Image;
  /** The registry that the image is named after, or that its blobs are from; undefined when nothing tells. */
  readonly source: Reference | undefined;
}

async function wanted({ input, signal }: RepairContext, backend: Backend): Promise<readonly Wanted[]> {
  const all = await backend.images.list({ signal });
  const images = input.args.length === 0 ? all : [];
  for (const name of input.args) images.push(await findImage(backend.images, name, { signal }));
  const found: Wanted[] = [];
  for (const image of images)
    found.push({ image, source: await imageSource(backend.content, image, all, { signal }) });
  return found;
}

async function repaired(
  context: RepairContext,
  backend: Backend,
  { image, source }: Wanted,
  registryOpts: RegistryOptions,
): Promise<RepairReport> {
  const { repairImage } = await import('../../core/verbs/repair.ts');
  const { input, signal } = context;
  const report: Report = (event) => {
    if (event.type === 'warning') warn(context, `warning: ${event.message}`).catch(() => {});
  };
  const rate = input.get(LIMIT_RATE);
  const [snapshotter, onProgress] = [input.get(SNAPSHOTTER), verifyProgress(context)];
  const options = { image, snapshotter, rate, report, onProgress, signal };
  if (source === undefined) {
    const deps = { ...storeDeps(context, backend), registry: noRegistry(image.name) };
    return await repairImage(deps, { ...options, reference: nowhere(image.name) });
  }
  return await withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
    repairImage(deps, { ...options, ...paceOf(registryOpts), reference: source }),
  );
}

/** Of an image whose blobs no registry is known to have: what needs none is repaired. */
function nowhere(name: string): Reference {
  return { raw: name, name, host: '', repository: '', tag: undefined, digest: undefined };
}

function noRegistry(name: string): Registry {
  const refuse = (): never => {
    throw new HawserError('FailedPrecondition', `nothing says which registry has the blobs of ${name}`, {
      hint: 'Pull the image by its full name; blobs that both have are repaired with it',
    });
  };
  const ask = async (): Promise<never> => refuse();
  const lists = { tags: ask, access: ask, catalog: ask, referrers: ask };
  return {
    ...lists,
    writer: ask,
    resolve: ask,
    find: ask,
    fetcher: refuse,
    file: refuse,
    evidence: refuse,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Repairs one image after another. What fails ends the work on its image only; an abort ends the command. */
async function repairAll(
  context: RepairContext,
  backend: Backend,
): Promise<{ readonly reports: readonly RepairReport[]; readonly failures: readonly unknown[] }> {
  const reports: RepairReport[] = [];
  const failures: unknown[] = [];
  const { signal } = context;
  const images = await wanted(context, backend);
  const sources = images.flatMap(({ source }) => (source === undefined ? [] : [{ reference: source }]));
  checkCredentials(context, sources);
  const [first] = sources;
  const registryOpts = first === undefined ? {} : await fetchingOptions(context, first.reference);
  for (const one of images) {
    try {
      reports.push(await repaired(context, backend, one, registryOpts));
    } catch (err) {
      failures.push(wrap(`Cannot repair ${one.image.name}`, err));
      if (signal.aborted) break;
    }
  }
  return { reports, failures };
}

export const imagesRepair: Command = command({
  path: ['images', 'repair'],
  args: ['[ref...]'],
  summary: 'fetch and unpack what is damaged, and nothing else',
  details: [
    'Checks as images verify does, and mends what it finds: damaged blobs are fetched from the registry of the image, damaged',
    'layers unpacked from their blobs, each into the place of the old one once it is whole. What is mounted is not touched.',
    'Without REF: every image of the namespace; one that fails does not stop the others. --limit-rate holds for the registry and for reading the disk.',
    '\nExample:\n  hawser images repair docker.io/library/alpine:3.20',
  ].join('\n'),
  flags: [SNAPSHOTTER, JSON_REPORT, ...FETCH_FLAGS],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const { reports, failures } = await repairAll(context, backend);
      const left = reports.flatMap((report) => report.left).length;
      const view = { type: 'repair', reports, json: input.get(JSON_REPORT) } as const;
      if (left === 0) return { view, failures };
      const what = `${left} ${left === 1 ? 'thing is' : 'things are'} damaged still`;
      const error = new HawserError('DataLoss', what, { hint: 'The lines above say why' });
      return { view, failures: [...failures, error] };
    }),
});
