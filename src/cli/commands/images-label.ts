import { otherLabels } from '../../core/images/admitted.ts';
import { JSON_DOCUMENT, REPLACE_ALL } from '../grammar/flags.ts';
import { withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { labelChanges } from '../session/labels.ts';
import { type Command, command } from './command.ts';

export const imagesLabel: Command = command({
  path: ['images', 'label'],
  args: ['<ref>', '[key=value...]'],
  summary: 'set labels of an image record, and print them; KEY= removes one',
  details: 'Example:\n  hawser images label alpine io.cri-containerd.pinned=pinned',
  flags: [REPLACE_ALL, JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(context, async ({ images }) => {
      const call = { signal: context.signal };
      const [given = '', ...texts] = input.args;
      const image = await findImage(images, given, call);
      const changes = labelChanges(texts, otherLabels(image.labels), input.get(REPLACE_ALL));
      const { labels } = await images.label(image.name, changes, call);
      return { view: { type: 'labels', of: image.name, labels, json: input.get(JSON_DOCUMENT) } };
    }),
});
