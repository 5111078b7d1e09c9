import type { Backend } from '../../core/backend.ts';
import { isKind, messageOf, wrap } from '../../core/errors.ts';
import { imageFields, parseFilters } from '../../core/filter/filter.ts';
import type { Image } from '../../core/images/image-store.ts';
import { imagePlatforms, imageSize } from '../../core/images/inspect.ts';
import { defaultPlatform } from '../../core/platforms/host.ts';
import { only } from '../../core/platforms/match.ts';
import { JSON_DOCUMENT, QUIET } from '../grammar/flags.ts';
import { type Context, withStore } from '../session/context.ts';
import type { ImageRow } from '../views/images.ts';
import { lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

export async function matchingImages(
  backend: Pick<Backend, 'images'>,
  filters: readonly string[],
  signal: AbortSignal,
): Promise<Image[]> {
  try {
    const filter = parseFilters(filters);
    return (await backend.images.list({ signal })).filter((image) => filter(imageFields(image)));
  } catch (err) {
    throw wrap('failed to list images', err);
  }
}

async function imageRow({ runtime, signal }: Context, backend: Backend, image: Image): Promise<ImageRow> {
  const call = { signal };
  const platform = defaultPlatform(backend, runtime.host);
  const warnings: string[] = [];
  const { size, missing } = await imageSize(backend.content, image.target, only(platform), call);
  if (missing !== undefined) {
    warnings.push(`failed calculating size for image ${image.name}: ${messageOf(missing)}`);
  }
  let platforms: string[] | undefined;
  try {
    platforms = await imagePlatforms(backend.content, image.target, call);
  } catch (err) {
    if (isKind(err, 'Canceled', 'DeadlineExceeded')) throw err;
    warnings.push(`failed resolving platform for image ${image.name}: ${messageOf(err)}`);
  }
  return { image, size, platforms, warnings };
}

export const imagesList: Command = command({
  path: ['images', 'list'],
  aliases: ['ls'],
  args: ['[filter...]'],
  summary: 'list images',
  details:
    'Filters: name==NAME, name~=REGEXP, target.digest==DIGEST, target.mediatype==TYPE, labels."KEY"==VALUE, labels.KEY;\n' +
    'a comma inside one is "and", several are "or".\n' +
    'On a terminal the table is made to fit: short digests, no types and labels. Piped, and with --json, all is there.',
  flags: [QUIET, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const images = await matchingImages(backend, input.args, context.signal);
      if (input.get(QUIET)) return { view: lines(...images.map((image) => image.name)) };
      const rows: ImageRow[] = [];
      for (const image of images) rows.push(await imageRow(context, backend, image));
      const warnings = rows.flatMap((row) => row.warnings).map((warning) => `warning: ${warning}`);
      return { view: { type: 'images', rows, json: input.get(JSON_DOCUMENT) }, warnings };
    }),
});
