import { imageTree } from '../../core/images/inspect.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { withStore } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { type Command, command } from './command.ts';

const CONTENT = bool({ name: 'content', describe: 'also show labels and JSON documents' });

export const imagesInspect: Command = command({
  path: ['images', 'inspect'],
  short: true,
  aliases: ['i'],
  args: ['<ref>'],
  missing: 'please provide an image reference to inspect',
  summary: 'show what an image is made of, as a tree',
  flags: [CONTENT, JSON_DOCUMENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const call = { signal: context.signal };
      const image = await findImage(backend.images, input.arg(0), call);
      const tree = await imageTree(backend.content, image.target, call);
      const [content, json] = [input.get(CONTENT), input.get(JSON_DOCUMENT)];
      return { view: { type: 'image-tree', inspected: { image, tree }, content, json } };
    }),
});
