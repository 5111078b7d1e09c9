import { parseReference } from '../../core/reference/parse.ts';
import { tagImage } from '../../core/verbs/tag.ts';
import { bool } from '../grammar/flag.ts';
import { JSON_DOCUMENT } from '../grammar/flags.ts';
import { show, withExisting } from '../session/context.ts';
import { findImage } from '../session/find-image.ts';
import { DONE, lines } from '../views/view.ts';
import { type Command, command } from './command.ts';

const FORCE = bool({ name: 'force', describe: 'move names that are taken' });

export const imagesTag: Command = command({
  path: ['images', 'tag'],
  short: true,
  args: ['<ref>', '<new-ref>', '[new-ref...]'],
  missing: 'please provide an image reference',
  summary: 'give an image more names',
  details: 'Example:\n  hawser images tag alpine registry.test/base:1',
  flags: [FORCE, JSON_DOCUMENT],
  run: async (context, input) =>
    await withExisting(context, async (backend) => {
      const { signal } = context;
      const [given = '', ...names] = input.args;
      const targets = names.map(parseReference);
      const { name: source } = await findImage(backend.images, given, { signal });
      const [json, made]: [boolean, string[]] = [input.get(JSON_DOCUMENT), []];
      for (const target of targets) {
        const { name } = await tagImage(backend, { source, target, force: input.get(FORCE), signal });
        made.push(name);
        if (!json) await show(context, lines(name));
      }
      if (!json) return DONE;
      return {
        view: { type: 'answer', of: 'tagged', lines: [], members: { name: source, names: made }, json },
      };
    }),
});
