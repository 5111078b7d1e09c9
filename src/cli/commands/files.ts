/** `files`: what is in an image, without a pull. */
import { absolutePath } from '../../core/absolute-path.ts';
import { wrap } from '../../core/errors.ts';
import { listFiles, writeFiles } from '../../core/verbs/files.ts';
import { copyFiles } from '../../core/verbs/files-out.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { FILES_FLAGS, splitPath, warner, withImage } from '../session/image-files.ts';
import { storeOf } from '../session/keep-out.ts';
import { writeListing } from '../session/listing.ts';
import { FORCE, OUTPUT_FLAGS, OWNER } from '../session/output-directory.ts';
import { DONE } from '../views/view.ts';
import { type Command, command } from './command.ts';

const RECURSIVE = bool({
  name: 'recursive',
  alias: 'R',
  describe: 'and all that is in the directories below',
});
const LONG = bool({ name: 'long', alias: 'l', describe: 'with mode, owner, size and time' });

const WHENCE =
  'The image is read from the store when it is there with all its layers, else from its registry; nothing is stored. Symlinks are\n' +
  'followed inside the image. Nothing is printed of a layer before the digest of the layer has held.';

const filesList: Command = command({
  path: ['files', 'list'],
  aliases: ['ls'],
  args: ['<ref>', '[path]'],
  missing: 'please provide an image reference',
  summary: 'list the files of an image, or of a directory in it; nothing is stored',
  details: `${WHENCE}\nA listing takes all layers of the image.`,
  flags: [RECURSIVE, LONG, JSON_DOCUMENT, ...FILES_FLAGS],
  run: async (context, input) => {
    const form = { long: input.get(LONG), json: input.get(JSON_DOCUMENT) };
    const name = input.arg(0);
    await withImage(context, name, async (image) => {
      const options = { deep: input.get(RECURSIVE), signal: context.signal };
      const listing = await listFiles(image, input.args[1] ?? '/', options).catch((err) => {
        throw wrap(`failed to list the files of "${name}"`, err);
      });
      await writeListing(context, image, listing, form);
    });
    return DONE;
  },
});

const filesCat: Command = command({
  path: ['files', 'cat'],
  short: true,
  args: ['<ref>', '<path>', '[path...]'],
  missing: 'please provide an image reference',
  summary: 'write files of an image to standard output, one after another; nothing is stored',
  details:
    `${WHENCE}\n` +
    'Layers are read from the top until the files are found; a large one is then read again up to the file. All that is written is\n' +
    'verified, piece by piece: when the exit status is not 0, it is not all.',
  flags: FILES_FLAGS,
  run: async (context, input) => {
    const name = input.arg(0);
    const { signal, stdout } = context;
    await withImage(context, name, async (image) => {
      await writeFiles(image, input.args.slice(1), (bytes) => stdout.write(bytes), { signal }).catch(
        (err) => {
          throw wrap(`failed to read "${name}"`, err);
        },
      );
    });
    return DONE;
  },
});

const filesCopy: Command = command({
  path: ['files', 'copy'],
  aliases: ['cp'],
  short: 'cp',
  args: ['<ref:path>', '<dir>'],
  missing: 'please provide an image reference with a path in the image: REF:/PATH',
  summary: 'copy a file or a directory of an image into a directory; nothing is stored',
  details:
    `${WHENCE}\n` +
    'What is copied is there under its name in DIR when it is whole and durable, and else not. Symlinks in a directory are copied as\n' +
    'they are. Without root everything belongs to you, and devices are left out.',
  flags: [...OUTPUT_FLAGS, JSON_DOCUMENT, ...FILES_FLAGS],
  run: async (context, input) => {
    const { name, path } = splitPath(input.arg(0));
    const { runtime, signal } = context;
    const made = await withImage(context, name, async (image) => {
      const options = {
        path,
        dir: absolutePath(input.arg(1), runtime.host),
        force: input.get(FORCE),
        owner: input.get(OWNER),
        keepOut: storeOf(context),
        warn: warner(context),
        signal,
      };
      return await copyFiles(runtime, image, options).catch((err) => {
        throw wrap(`failed to copy from "${name}"`, err);
      });
    });
    const json = input.get(JSON_DOCUMENT);
    return { view: { type: 'answer', of: 'copied', lines: [made], members: { path: made }, json } };
  },
});

export const fileCommands: readonly Command[] = [filesList, filesCat, filesCopy];
