import type { Backend } from '../../core/backend.ts';
import { HawserError } from '../../core/errors.ts';
import type { Image } from '../../core/images/image-store.ts';
import type { Report } from '../../core/progress/events.ts';
import { parseReference } from '../../core/reference/parse.ts';
import type { RepairReport } from '../../core/verbs/repair.ts';
import { SNAPSHOTTER } from '../grammar/flags.ts';
import { LIMIT_RATE } from '../grammar/registry-flags.ts';
import { FETCH_FLAGS, type FetchFlag } from '../grammar/transfer-flags.ts';
import { JSON_REPORT } from '../grammar/verify-flags.ts';
import { type Context, warn, withBackend } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { fetchingOptions, paceOf, withRegistry } from '../session/transfer.ts';
import { verifyProgress } from '../session/verifying.ts';
import { type Command, command } from './command.ts';

type RepairContext = Context<FetchFlag | 'snapshotter' | 'json'>;

async function wanted({ input, signal }: RepairContext, backend: Backend): Promise<readonly Image[]> {
  if (input.args.length === 0) return await backend.images.list({ signal });
  const images: Image[] = [];
  for (const name of input.args) images.push(await findImage(backend.images, name, { signal }));
  return images;
}

/** From the registry that the image is named after. */
async function repaired(context: RepairContext, backend: Backend, image: Image): Promise<RepairReport> {
  const { repairImage } = await import('../../core/verbs/repair.ts');
  const { input, signal } = context;
  const reference = parseReference(image.name);
  const registryOpts = await fetchingOptions(context, reference);
  const report: Report = (event) => {
    if (event.type === 'warning') warn(context, `warning: ${event.message}`).catch(() => {});
  };
  const rate = input.get(LIMIT_RATE);
  const [snapshotter, onProgress] = [input.get(SNAPSHOTTER), verifyProgress(context)];
  return await withRegistry(context, backend, { ...registryOpts, report }, (deps) =>
    repairImage(deps, {
      reference,
      image,
      snapshotter,
      rate,
      ...paceOf(registryOpts),
      report,
      onProgress,
      signal,
    }),
  );
}

export const imagesRepair: Command = command({
  path: ['images', 'repair'],
  args: ['[ref...]'],
  summary: 'fetch and unpack what is damaged, and nothing else',
  details: [
    'Checks as images verify does, and mends what it finds: damaged blobs are fetched from the registry of the image, damaged',
    'layers unpacked from their blobs, each into the place of the old one once it is whole. What is mounted is not touched.',
    'Without REF: every image of the namespace. --limit-rate holds for the registry and for reading the disk.',
    'Example: hawser images repair docker.io/library/alpine:3.20',
  ].join('\n'),
  flags: [SNAPSHOTTER, JSON_REPORT, ...FETCH_FLAGS],
  run: async (context, input) =>
    await withBackend(context, async (backend) => {
      const reports: RepairReport[] = [];
      for (const image of await wanted(context, backend))
        reports.push(await repaired(context, backend, image));
      const left = reports.flatMap((report) => report.left).length;
      const view = { type: 'repair', reports, json: input.get(JSON_REPORT) } as const;
      if (left === 0) return { view };
      const what = `${left} ${left === 1 ? 'thing is' : 'things are'} damaged still`;
      return { view, failures: [new HawserError('DataLoss', what, { hint: 'The lines above say why' })] };
    }),
});
