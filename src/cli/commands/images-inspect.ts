import { imageTree } from '../../core/images/inspect.ts';
import { bool } from '../grammar/flag.ts';
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
  flags: [CONTENT],
  run: async (context, input) =>
    await withStore(context, async (backend) => {
      const call = { signal: context.signal };
      const image = await findImage(backend.images, input.arg(0), call);
      const tree = await imageTree(backend.content, image.target, call);
      return { view: { type: 'image-tree', inspected: { image, tree }, content: input.get(CONTENT) } };
    }),
});
